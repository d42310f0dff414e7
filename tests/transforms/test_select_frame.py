from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged

from pipeline.errors import InputError
from pipeline.transforms.select_frame import SelectFrame, SelectFramed

AFFINE = torch.diag(torch.tensor([-1.5, -1.5, 8.0, 1.0], dtype=torch.float64))


def cine(phases: int = 3) -> MetaTensor:
    voxels = torch.arange(phases * 24.0).reshape(phases, 4, 3, 2)
    return MetaTensor(voxels, affine=AFFINE, meta={"filename_or_obj": "a.nii.gz"})


@pytest.mark.parametrize("frame", [0, 2])
def test_frame_is_the_phase_counted_from_0(frame: int) -> None:
    selected = SelectFrame()(cine(), frame)
    assert torch.equal(selected[0], cine()[frame])
    assert selected.shape == (1, 4, 3, 2)


def test_grid_stays() -> None:
    selected = SelectFrame()(cine(), 1)
    assert torch.equal(selected.affine, AFFINE)
    assert selected.meta["filename_or_obj"] == "a.nii.gz"


def test_volume_without_frame_passes() -> None:
    img = cine(1)
    assert SelectFrame()(img) is img


def test_cine_without_frame_is_refused() -> None:
    with pytest.raises(InputError, match=r"a.nii.gz is 4D where 3D is needed: it has 3 phases"):
        SelectFrame()(cine())


@pytest.mark.parametrize("frame", [-1, 3])
def test_frame_that_the_cine_lacks_is_refused(frame: int) -> None:
    with pytest.raises(InputError, match=rf"frame must be from 0 to 2 in a.nii.gz, got {frame}"):
        SelectFrame()(cine(), frame)


def test_dictionary_form_takes_the_frame_of_the_item() -> None:
    selected = SelectFramed(["image", "label"])({"image": cine(), "label": cine(), "frame": 2})
    assert torch.equal(selected["image"], cine()[2:3])
    assert torch.equal(selected["label"], cine()[2:3])


def test_dictionary_form_passes_volumes() -> None:
    item = {"image": cine(1)}
    assert SelectFramed("image")(item)["image"] is item["image"]


def test_fourth_axis_of_a_nifti_is_the_phase(tmp_path: Path) -> None:
    voxels = np.arange(4 * 3 * 2 * 5, dtype=np.int16).reshape(4, 3, 2, 5)
    nib.save(nib.Nifti1Image(voxels, AFFINE.numpy()), tmp_path / "cine.nii.gz")
    transform = Compose([LoadImaged("image"), EnsureChannelFirstd("image"), SelectFramed("image")])
    selected = transform({"image": str(tmp_path / "cine.nii.gz"), "frame": 3})["image"]
    np.testing.assert_array_equal(selected[0], voxels[..., 3])

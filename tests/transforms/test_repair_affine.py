from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import LoadImage

from pipeline.geometry import nifti_affine
from pipeline.transforms.repair_affine import RepairAffine, RepairAffined

UNIT = np.diag([-1.0, -1.0, 1.0, 1.0])


def save_acdc(path: Path, shape: tuple[int, ...]) -> Path:
    """Write voxels with ACDC's header: an sform of 1 mm beside the right pixdim."""
    image = nib.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), UNIT)
    image.header["pixdim"][1:5] = 1.5625, 1.5625, 10.0, 0.03
    nib.save(image, path)
    return path


@pytest.mark.parametrize("shape", [(4, 3, 2), (4, 3, 2, 5)])
def test_spacing_of_acdc_is_that_of_the_header(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = save_acdc(tmp_path / "a.nii.gz", shape)
    repaired = RepairAffine()(LoadImage()(path))
    np.testing.assert_allclose(repaired.affine.norm(dim=0)[:3], [1.5625, 1.5625, 10.0])
    np.testing.assert_allclose(repaired.affine, nifti_affine(nib.load(path)))


def test_input_is_untouched(tmp_path: Path) -> None:
    img = LoadImage()(save_acdc(tmp_path / "a.nii.gz", (4, 3, 2, 5)))
    repaired = RepairAffine()(img)
    np.testing.assert_array_equal(img.affine, UNIT)
    assert torch.equal(repaired, img)


@pytest.mark.parametrize("shape", [(4, 3, 2), (4, 3, 2, 5)])
def test_consistent_image_passes_as_the_same_object(tmp_path: Path, shape: tuple[int, ...]) -> None:
    affine = np.array([[-1.2, 0.5, 0, 3], [0.5, 1.2, 0, 4], [0, 0, 8, 5], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(np.zeros(shape, dtype=np.int16), affine), tmp_path / "a.nii")
    img = LoadImage()(tmp_path / "a.nii")
    assert RepairAffine()(img) is img


@pytest.mark.parametrize("img", [torch.zeros(1, 2), MetaTensor(torch.zeros(1, 2), meta={"filename_or_obj": "a.png"})])
def test_images_of_other_files_pass(img: torch.Tensor) -> None:
    assert RepairAffine()(img) is img


def test_dictionary_form_equals_array_form(tmp_path: Path) -> None:
    img = LoadImage()(save_acdc(tmp_path / "a.nii.gz", (4, 3, 2, 5)))
    repaired = RepairAffined("image")({"image": img, "case_id": "a"})
    assert torch.equal(repaired["image"].affine, RepairAffine()(img).affine)
    assert repaired["case_id"] == "a"


def test_image_of_a_folder_named_like_a_file_stays(tmp_path: Path) -> None:
    folder = tmp_path / "study.nii"
    folder.mkdir()
    image = MetaTensor(torch.zeros(2, 2, 2), affine=torch.eye(4) * 2, meta={"filename_or_obj": str(folder)})
    assert RepairAffine()(image) is image

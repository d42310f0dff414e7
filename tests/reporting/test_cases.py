from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from PIL import Image

from pipeline.errors import InputError
from pipeline.reporting.cases import KeptCase, PackedMask

AFFINE = np.diag([-1.5, -2.0, 8.0, 1.0])
SHAPE = (12, 10, 4)


def item(folder: Path, image: np.ndarray, **more: Any) -> dict[str, Any]:
    path = folder / "scan.nii.gz"
    nib.save(nib.Nifti1Image(image, AFFINE), path)
    mask = MetaTensor(torch.full((1, *SHAPE), 3.0), affine=torch.from_numpy(AFFINE))
    preprocessed = MetaTensor(torch.zeros(1, 4, 4, 4), meta={"filename_or_obj": str(path)})
    return {"image": preprocessed, "pred": mask, "label": mask, "case_id": "a", **more}


def test_packed_mask_comes_back() -> None:
    mask = np.random.default_rng(0).integers(0, 4, SHAPE).astype(np.uint8)
    assert np.array_equal(PackedMask.pack(mask).unpack(), mask)


def test_packed_mask_may_be_a_transposed_view() -> None:
    mask = np.random.default_rng(0).integers(0, 4, SHAPE).astype(np.uint8).T
    assert np.array_equal(PackedMask.pack(mask).unpack(), mask)


def test_packed_mask_is_small() -> None:
    assert len(PackedMask.pack(np.zeros((256, 256, 10), dtype=np.uint8)).data) < 256 * 256 * 10 / 100


def test_image_is_read_as_it_was(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    assert np.array_equal(KeptCase.from_item(item(tmp_path, image)).load_image(), image)


def test_frame_of_a_cine_is_read(tmp_path: Path) -> None:
    cine = np.random.default_rng(0).normal(size=(*SHAPE, 5)).astype(np.float32)
    assert np.array_equal(KeptCase.from_item(item(tmp_path, cine, frame=3)).load_image(), cine[..., 3])


def test_frame_of_a_still_is_itself(tmp_path: Path) -> None:
    still = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    assert np.array_equal(KeptCase.from_item(item(tmp_path, still, frame=0)).load_image(), still)


def test_image_of_another_grid(tmp_path: Path) -> None:
    case = KeptCase.from_item(item(tmp_path, np.zeros((5, 5, 5), dtype=np.float32)))
    with pytest.raises(InputError, match=r"shape \(5, 5, 5\), the masks of 'a' have \(12, 10, 4\); put the masks back"):
        case.load_image()


def test_image_must_name_its_file(tmp_path: Path) -> None:
    nameless = item(tmp_path, np.zeros(SHAPE, dtype=np.float32)) | {"image": torch.zeros(1, 4, 4, 4)}
    with pytest.raises(TypeError, match="image must be a MetaTensor that names its file"):
        KeptCase.from_item(nameless)


def test_picture_in_color_is_a_gray_slice(tmp_path: Path) -> None:
    pixels = np.zeros((3, 2, 3), dtype=np.uint8)  # rows, columns, colors
    pixels[2, 1] = (10, 20, 60)
    Image.fromarray(pixels).save(tmp_path / "scan.png")
    mask = MetaTensor(torch.zeros(1, 2, 3, 1))
    image = MetaTensor(torch.zeros(1, 2, 3, 1), meta={"filename_or_obj": str(tmp_path / "scan.png")})
    case = KeptCase.from_item({"image": image, "pred": mask, "label": mask, "case_id": "a"})
    assert case.load_image()[1, 2, 0] == 30

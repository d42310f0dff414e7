"""Image files that can be read, and those that cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.transforms import LoadImage

from pipeline.errors import InputError
from pipeline.transforms import LoadVolume, LoadVolumed

AFFINE = np.array([[0, -1.5, 0, 10], [1.2, 0, -4, 20], [0.9, 0, 7, 30], [0, 0, 0, 1]])


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.nii.gz"
    voxels = np.random.default_rng(0).integers(0, 1000, (12, 10, 4)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, AFFINE), path)
    return path


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)


def test_image_is_what_monai_reads(scan: Path) -> None:
    image = LoadVolume()(scan)
    np.testing.assert_array_equal(image, LoadImage(image_only=True)(scan))
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)
    assert image.meta["filename_or_obj"] == str(scan)


@pytest.mark.parametrize(
    "spoil",
    [cut_in_half, damage, lambda path: path.write_bytes(b""), lambda path: path.write_text("no image")],
    ids=["cut off", "damaged", "empty", "text"],
)
def test_file_that_cannot_be_read_is_named(scan: Path, spoil: Callable[[Path], object]) -> None:
    spoil(scan)
    with pytest.raises(InputError, match=r"scan\.nii\.gz cannot be read: .* Copy or export it again"):
        LoadVolume()(scan)


def test_uncompressed_file_that_is_cut_off_is_named(scan: Path) -> None:
    plain = scan.with_suffix("")
    nib.save(nib.load(scan), plain)
    cut_in_half(plain)
    with pytest.raises(InputError, match=r"scan\.nii cannot be read"):
        LoadVolume()(plain)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.nii\.gz does not exist"):
        LoadVolume()(tmp_path / "gone.nii.gz")


def test_dictionary_form_reads_its_keys_alone(scan: Path) -> None:
    item = LoadVolumed(keys="image")({"image": str(scan), "label": "other.nii.gz"})
    np.testing.assert_array_equal(item["image"], LoadVolume()(scan))
    assert item["label"] == "other.nii.gz"


def test_missing_key_can_be_allowed(scan: Path) -> None:
    item = LoadVolumed(keys=["image", "label"], allow_missing_keys=True)({"image": str(scan)})
    assert item["image"].shape == (12, 10, 4)

"""A cine made of one volume has the size that was asked for."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmarks.cines import fitted, write_cine


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A slab of 4 x 6 x 2 pixels of 2 x 3 mm, 8 mm thick."""
    voxels = np.arange(48, dtype=np.int16).reshape(4, 6, 2)
    nib.save(nib.Nifti1Image(voxels, np.diag([2.0, 3.0, 8.0, 1.0])), tmp_path / "volume.nii.gz")
    return tmp_path / "volume.nii.gz"


def test_plane_is_stretched_over_the_size(volume: Path, tmp_path: Path) -> None:
    write_cine(volume, tmp_path / "cine.nii", (8, 8), slices=5, phases=3)
    made = nib.load(tmp_path / "cine.nii")
    assert made.shape == (8, 8, 5, 3)
    # 4 pixels of 2 mm become 8 of 1 mm, 6 of 3 mm 8 of 2.25 mm
    assert made.header.get_zooms()[:3] == (1.0, 2.25, 8.0)


def test_pixels_of_a_given_size_are_cropped_and_padded(volume: Path, tmp_path: Path) -> None:
    write_cine(volume, tmp_path / "cine.nii", (6, 4), slices=2, phases=1, pixel_mm=2.0)
    made = nib.load(tmp_path / "cine.nii")
    assert (made.shape, made.header.get_zooms()[:2]) == ((6, 4, 2, 1), (2.0, 2.0))


def test_planes_are_fitted_around_their_center() -> None:
    planes = np.ones((4, 3, 1), np.float32)
    assert fitted(planes, (2, 6))[..., 0].tolist() == [[0, 1, 1, 1, 0, 0]] * 2

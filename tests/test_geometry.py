from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipeline.geometry import nifti_affine, same_grid, slice_axis, spacing_mm, voxel_volume_ml


def oblique(spacing: tuple[float, float, float] = (1.4, 1.6, 9.0), angle: float = 35.0) -> np.ndarray:
    """Affine turned by ``angle`` degrees about x, then by 20 about z."""
    a, b = np.deg2rad([angle, 20.0])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag(spacing)
    affine[:3, 3] = (-70.0, 40.0, 110.0)
    return affine


def image_with(sform: np.ndarray, qform: np.ndarray | None, shape: tuple[int, ...] = (6, 5, 4)) -> nib.Nifti1Image:
    """Image whose header has these forms and the spacing 1.4 x 1.6 x 9 mm."""
    image = nib.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), None)
    image.header.set_zooms((1.4, 1.6, 9.0, 30.0)[: len(shape)])
    image.set_qform(qform, code=0 if qform is None else 1)
    image.set_sform(sform, code=2)
    return image


def test_spacing_is_the_norm_of_the_columns() -> None:
    np.testing.assert_allclose(spacing_mm(oblique()), [1.4, 1.6, 9.0])


def test_spacing_of_a_flipped_axis_is_positive() -> None:
    np.testing.assert_allclose(spacing_mm(np.diag([-1.5, 2.0, -8.0, 1.0])), [1.5, 2.0, 8.0])


def test_voxel_volume_of_a_rotated_grid() -> None:
    assert voxel_volume_ml(oblique()) == pytest.approx(0.02016)


def test_voxel_volume_of_a_sheared_grid_is_less_than_the_product_of_spacings() -> None:
    sheared = np.diag([1.0, 2.0, 10.0, 1.0])
    sheared[0, 2] = 10.0
    assert voxel_volume_ml(sheared) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("spacing", "axis"),
    [((1.4, 1.6, 9.0), 2), ((9.0, 1.6, 1.4), 0), ((1.4, 9.0, 1.6), 1), ((1.5, 1.5, 1.5), 2), ((1.5005, 1.0, 1.5), 2)],
)
def test_slice_axis_is_the_widest_else_the_last(spacing: tuple[float, float, float], axis: int) -> None:
    assert slice_axis(oblique(spacing)) == axis


@pytest.mark.parametrize(("shift_mm", "same"), [(0.0, True), (0.009, True), (0.011, False)])
def test_shift_counts_in_mm(shift_mm: float, same: bool) -> None:
    moved = oblique()
    moved[0, 3] += shift_mm
    assert same_grid(oblique(), moved, (256, 256, 10)) is same


@pytest.mark.parametrize(("size", "same"), [(5, True), (256, False)])
def test_rotation_counts_by_the_distance_that_it_moves_the_corners(size: int, same: bool) -> None:
    """0.005 degrees move a corner 7 mm away by 0.0006 mm, one 400 mm away by 0.036 mm."""
    assert same_grid(oblique(), oblique(angle=35.005), (size, size, 2)) is same


def test_grids_of_2d_images_are_compared() -> None:
    moved = oblique()
    moved[1, 3] += 1.0
    assert same_grid(oblique(), oblique(), (64, 48))
    assert not same_grid(oblique(), moved, (64, 48))


def test_affine_with_nan_is_no_grid() -> None:
    assert not same_grid(oblique(), np.full((4, 4), np.nan), (8, 8, 3))


def test_affine_that_agrees_with_the_header_is_kept() -> None:
    image = image_with(sform=oblique(), qform=None)
    np.testing.assert_allclose(nifti_affine(image), oblique(), atol=1e-5)


def test_header_spacing_wins_over_an_sform_without_one() -> None:
    image = image_with(sform=np.diag([-1.0, -1.0, 1.0, 1.0]), qform=oblique())
    np.testing.assert_allclose(nifti_affine(image), oblique(), atol=1e-4)


def test_4d_file_gets_the_header_spacing_too() -> None:
    image = image_with(sform=np.diag([-1.0, -1.0, 1.0, 1.0]), qform=oblique(), shape=(6, 5, 4, 3))
    np.testing.assert_allclose(spacing_mm(nifti_affine(image)), [1.4, 1.6, 9.0], atol=1e-5)


def test_2d_image_keeps_its_affine() -> None:
    image = nib.Nifti1Image(np.zeros((6, 5), dtype=np.int16), np.diag([1.5, 1.5, 1.0, 1.0]))
    np.testing.assert_allclose(nifti_affine(image), np.diag([1.5, 1.5, 1.0, 1.0]))


@pytest.mark.parametrize("qform", [None, oblique(angle=10.0)], ids=["no qform", "qform of another direction"])
@pytest.mark.parametrize("sform", [oblique(), np.diag([-1.0, -1.0, 1.0, 1.0]), oblique((1.0, 1.0, 1.0))])
def test_grid_is_the_one_that_training_reads(tmp_path: Path, sform: np.ndarray, qform: np.ndarray | None) -> None:
    from monai.transforms import LoadImage

    nib.save(image_with(sform, qform), tmp_path / "a.nii")
    read = LoadImage(reader="NibabelReader", image_only=True)(tmp_path / "a.nii")
    np.testing.assert_allclose(nifti_affine(nib.load(tmp_path / "a.nii")), read.affine, atol=1e-5)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from pipeline.data.phantom.cine_study import CineStudy
from pipeline.data.phantom.dicom import write_cine_dicom
from pipeline.errors import InputError
from pipeline.inference.source import DicomSource, FileSource, is_nifti, open_source

SaveScan = Callable[..., Path]


def study() -> CineStudy:
    """Four slices of 6 phases on an oblique grid; voxels tell their place."""
    x, y, z, t = np.meshgrid(*(np.arange(n) for n in (6, 5, 4, 6)), indexing="ij")
    angle = np.deg2rad(35)
    affine = np.eye(4)
    affine[:3, :3] = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    ) @ np.diag([-1.4, -1.6, 9.0])
    affine[:3, 3] = [40.0, -30.0, 20.0]
    return CineStudy((1000 * t + 100 * z + 10 * y + x).astype(np.uint16), affine, rr_ms=240.0)


@pytest.fixture
def dicom(tmp_path: Path) -> Path:
    write_cine_dicom(tmp_path / "study", study())
    return tmp_path / "study"


def test_cine_has_its_voxels_and_times(save_scan: SaveScan, labels: np.ndarray) -> None:
    source = FileSource(save_scan("cine.nii.gz", np.stack([labels, 2 * labels], axis=-1)))
    np.testing.assert_array_equal(source.voxels()[..., 1], 2 * labels)
    assert source.phase_times_ms == (0.0, 1000.0)


def test_stack_has_one_phase_and_no_times(save_scan: SaveScan, labels: np.ndarray) -> None:
    source = FileSource(save_scan("stack.nii.gz", labels))
    assert source.voxels().shape == (*labels.shape, 1)
    assert source.phase_times_ms is None


def test_file_without_a_unit_of_time_has_no_times(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 3), np.int16), np.eye(4)), tmp_path / "cine.nii")
    assert FileSource(tmp_path / "cine.nii").phase_times_ms is None


def test_mask_of_a_metaimage_is_nifti_on_its_grid(tmp_path: Path) -> None:
    voxels = np.arange(4 * 5 * 3, dtype=np.int16).reshape(4, 5, 3)
    image = SimpleITK.GetImageFromArray(voxels.T)
    image.SetSpacing((1.4, 1.6, 8.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"))
    source = open_source(str(tmp_path / "a.mha"))
    np.testing.assert_array_equal(source.voxels()[..., 0], voxels)
    mask = nib.load(source.write_mask(tmp_path / "a.nii.gz", (voxels % 4)[..., None]))
    np.testing.assert_array_equal(mask.dataobj, voxels % 4)
    # ITK's x and y run to the left and to the back, NIfTI's to the right and to the front
    np.testing.assert_allclose(mask.affine, [[-1.4, 0, 0, -10], [0, -1.6, 0, 20], [0, 0, 8, 30], [0, 0, 0, 1]])
    assert source.phase_times_ms is None


def test_dicom_has_the_voxels_the_grid_and_the_times(dicom: Path) -> None:
    source = DicomSource(str(dicom))
    np.testing.assert_array_equal(source.voxels(), study().cine)
    np.testing.assert_allclose(source.affine, study().affine, atol=1e-4)
    assert source.phase_times_ms == (0.0, 40.0, 80.0, 120.0, 160.0, 200.0)


def test_mask_of_dicom_lies_on_its_grid(tmp_path: Path, dicom: Path) -> None:
    mask = (study().cine % 4).astype(np.uint8)
    image = nib.load(DicomSource(str(dicom)).write_mask(tmp_path / "mask.nii.gz", mask))
    np.testing.assert_array_equal(image.dataobj, mask)
    np.testing.assert_allclose(image.affine, study().affine, atol=1e-3)
    assert image.header.get_zooms()[3] == pytest.approx(40.0)
    assert image.header.get_xyzt_units() == ("mm", "msec")


@pytest.mark.parametrize(
    ("image", "nifti"), [("a/b.nii.gz", True), ("a/B.NII", True), ("a/study", False), (["a/1.nii"], False)]
)
def test_nifti_is_told_by_its_name(image: str | list[str], nifti: bool) -> None:
    assert is_nifti(image) is nifti


def test_sources_are_told_apart(save_scan: SaveScan, labels: np.ndarray, dicom: Path) -> None:
    assert isinstance(open_source(str(save_scan("a.nii.gz", labels))), FileSource)
    assert isinstance(open_source([str(path) for path in sorted(dicom.iterdir())]), DicomSource)


def test_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        open_source(str(tmp_path / "empty"))

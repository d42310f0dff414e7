from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.inference.writer import write_mask

SaveScan = Callable[..., Path]


def test_mask_lies_on_the_grid_of_the_scan(tmp_path: Path, save_scan: SaveScan, labels: np.ndarray) -> None:
    scan = save_scan("a.nii.gz", labels * 100)
    mask = nib.load(write_mask(tmp_path / "out" / "a.nii.gz", labels, scan))
    np.testing.assert_array_equal(mask.affine, nib.load(scan).affine)
    np.testing.assert_array_equal(mask.dataobj, labels)
    assert mask.get_data_dtype() == np.uint8


def test_header_is_the_scans_but_for_the_values(tmp_path: Path, labels: np.ndarray) -> None:
    image = nib.Nifti1Image((labels * 100).astype(np.int16), None)
    image.set_qform(np.diag([1.5, 2.0, 8.0, 1.0]), code=1)
    image.set_sform(np.diag([1.5, 2.0, 8.0, 1.0]), code=2)
    image.header["cal_max"] = 300
    nib.save(image, tmp_path / "a.nii")
    before = nib.load(tmp_path / "a.nii").header
    after = nib.load(write_mask(tmp_path / "m.nii", labels, tmp_path / "a.nii")).header
    changed = {
        key for key in before if not np.array_equal(before[key], after[key], equal_nan=before[key].dtype.kind == "f")
    }
    assert changed == {"datatype", "bitpix", "cal_max"}
    assert (int(after["qform_code"]), int(after["sform_code"])) == (1, 2)


def test_slope_and_intercept_on_disk_are_neutral(tmp_path: Path, labels: np.ndarray) -> None:
    image = nib.Nifti1Image((labels * 100).astype(np.int16), np.diag([1.5, 2.0, 8.0, 1.0]))
    image.header.set_slope_inter(2.0, 5.0)
    nib.save(image, tmp_path / "a.nii")
    raw = write_mask(tmp_path / "m.nii", labels, tmp_path / "a.nii").read_bytes()
    assert struct.unpack("<ff", raw[112:120]) == (1.0, 0.0)


def test_affine_that_contradicts_pixdim_stays_as_it_is(tmp_path: Path, labels: np.ndarray) -> None:
    image = nib.Nifti1Image(labels.astype(np.int16), np.diag([-1.0, -1.0, 1.0, 1.0]))
    image.header["pixdim"][1:4] = 1.56, 1.56, 10.0
    nib.save(image, tmp_path / "acdc.nii.gz")
    mask = nib.load(write_mask(tmp_path / "out.nii.gz", labels, tmp_path / "acdc.nii.gz"))
    np.testing.assert_array_equal(mask.affine, np.diag([-1.0, -1.0, 1.0, 1.0]))
    np.testing.assert_allclose(mask.header["pixdim"][1:4], [1.56, 1.56, 10.0], rtol=1e-6)


@pytest.mark.realdata
def test_mask_of_real_acdc_has_its_header(tmp_path: Path, real_data_dir: Path) -> None:
    scan = real_data_dir / "acdc" / "training" / "patient001" / "patient001_frame01.nii.gz"
    before = nib.load(scan)
    after = nib.load(write_mask(tmp_path / "m.nii.gz", np.ones(before.shape, dtype=np.uint8), scan))
    np.testing.assert_array_equal(after.affine, before.affine)
    for key in ("pixdim", "sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "xyzt_units"):
        np.testing.assert_array_equal(after.header[key], before.header[key])


def test_cine_keeps_the_duration_of_a_phase(tmp_path: Path, labels: np.ndarray) -> None:
    image = nib.Nifti1Image(np.stack([labels] * 2, -1).astype(np.int16), np.diag([1.5, 2.0, 8.0, 1.0]))
    image.header.set_xyzt_units("mm", "msec")
    image.header["pixdim"][4] = 33.5
    nib.save(image, tmp_path / "cine.nii.gz")
    mask = nib.load(write_mask(tmp_path / "m.nii.gz", np.stack([labels, 0 * labels], -1), tmp_path / "cine.nii.gz"))
    assert mask.shape == (6, 5, 3, 2)
    assert mask.header["pixdim"][4] == 33.5
    assert mask.header.get_xyzt_units() == ("mm", "msec")


@pytest.mark.parametrize(
    ("scan_shape", "mask_shape"),
    [((6, 5, 3), (6, 5, 3, 1)), ((6, 5, 3, 1), (6, 5, 3)), ((18, 5), (18, 5, 1, 1)), ((18, 5, 1), (18, 5, 1, 1))],
)
def test_one_phase_takes_the_shape_of_the_scan(
    tmp_path: Path, save_scan: SaveScan, scan_shape: tuple[int, ...], mask_shape: tuple[int, ...]
) -> None:
    scan = save_scan("a.nii.gz", np.arange(90).reshape(scan_shape))
    mask = write_mask(tmp_path / "m.nii.gz", np.ones(mask_shape, dtype=np.int64), scan)
    assert nib.load(mask).shape == scan_shape


def test_failed_write_leaves_the_earlier_mask_and_no_other_file(
    tmp_path: Path, save_scan: SaveScan, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan, out = save_scan("a.nii.gz", labels), tmp_path / "out" / "a.nii.gz"
    before = write_mask(out, labels, scan).read_bytes()

    def half_a_file(image: nib.Nifti1Image, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(nib, "save", half_a_file)
    with pytest.raises(OSError, match="No space left"):
        write_mask(out, labels, scan)
    assert out.read_bytes() == before
    assert list(out.parent.iterdir()) == [out]


def test_same_mask_gives_the_same_bytes(tmp_path: Path, save_scan: SaveScan, labels: np.ndarray) -> None:
    scan = save_scan("a.nii.gz", labels)
    once, again = (write_mask(tmp_path / folder / "m.nii.gz", labels, scan).read_bytes() for folder in "ab")
    assert once == again


def test_mask_of_another_shape_is_refused(tmp_path: Path, save_scan: SaveScan, labels: np.ndarray) -> None:
    scan = save_scan("a.nii.gz", labels)
    with pytest.raises(InputError, match=r"shape of its scan .*a.nii.gz, \(6, 5, 3\), got \(5, 6, 3\)"):
        write_mask(tmp_path / "m.nii.gz", labels.transpose(1, 0, 2), scan)


@pytest.mark.parametrize("factor", [0.5, -1, 100])
def test_values_that_are_no_labels_are_refused(
    tmp_path: Path, save_scan: SaveScan, labels: np.ndarray, factor: float
) -> None:
    scan = save_scan("a.nii.gz", labels)
    with pytest.raises(ValueError, match="whole numbers from 0 to 255"):
        write_mask(tmp_path / "m.nii.gz", labels * factor, scan)


def test_scan_is_never_replaced(save_scan: SaveScan, labels: np.ndarray) -> None:
    scan = save_scan("a.nii.gz", labels)
    with pytest.raises(InputError, match=r"would replace its scan .*a.nii.gz"):
        write_mask(scan.parent / ".." / "scans" / "a.nii.gz", labels, scan)


def test_file_of_another_format_is_refused(tmp_path: Path, labels: np.ndarray) -> None:
    nib.save(nib.Spm2AnalyzeImage(labels.astype(np.int16), np.eye(4)), tmp_path / "a.img")
    with pytest.raises(InputError, match=r"a.img must be a NIfTI file .* got Spm2AnalyzeImage"):
        write_mask(tmp_path / "m.nii.gz", labels, tmp_path / "a.img")

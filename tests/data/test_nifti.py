"""NIfTI files that are sound, and those that nibabel would mend or overlook."""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.filebasedimages import ImageFileError

from pipeline.data import nifti as module
from pipeline.data.nifti import VolumeError, read_nifti
from pipeline.geometry import nifti_affine

SHAPE = (7, 6, 4)
AFFINE = np.array([[0, -1.5, 0, 10], [1.2, 0, -4, 20], [0.9, 0, 7, 30], [0, 0, 0, 1]])
DIM, PIXDIM, CODES, SROW = 40, 76, 252, 280  # bytes of the fields in NIfTI-1

Voxels = np.ndarray
SaveNifti = Callable[..., Path]


def noise(*shape: int) -> Voxels:
    return np.random.default_rng(0).integers(0, 1000, shape, dtype=np.int16)


@pytest.fixture
def save(tmp_path: Path) -> SaveNifti:
    """Write voxels, with some fields of the header overwritten: (byte, format of ``struct``, values)."""

    def write(voxels: Voxels, *fields: tuple, name: str = "a.nii", affine: np.ndarray = AFFINE) -> Path:
        path = tmp_path / name
        content = bytearray(nib.Nifti1Image(voxels, affine).to_bytes())
        for byte, form, *values in fields:
            struct.pack_into(f"<{form}", content, byte, *values)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def flip_a_byte(path: Path, byte: int) -> None:
    content = bytearray(path.read_bytes())
    content[byte] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("shape", [(7, 6), SHAPE, (*SHAPE, 3)], ids=["picture", "volume", "cine"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_sound_file_is_what_nibabel_reads(tmp_path: Path, kind: type, name: str, shape: tuple[int, ...]) -> None:
    nib.save(kind(noise(*shape), AFFINE), tmp_path / name)
    image, expected = read_nifti(tmp_path / name), nib.load(tmp_path / name)
    assert type(image) is kind
    np.testing.assert_array_equal(image.dataobj, expected.dataobj)
    np.testing.assert_array_equal(image.affine, expected.affine)


def test_big_endian_file_is_read(tmp_path: Path) -> None:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    nib.save(nib.Nifti1Image(noise(*SHAPE), AFFINE, header), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_nifti(tmp_path / "a.nii.gz").dataobj, noise(*SHAPE))


def test_slope_and_intercept_are_applied(save: SaveNifti) -> None:
    path = save(noise(*SHAPE), (112, "2f", 2.0, 5.0), name="a.nii.gz")
    np.testing.assert_array_equal(read_nifti(path).dataobj, 2.0 * noise(*SHAPE) + 5.0)


def test_flipped_byte_of_stored_voxels_is_found(tmp_path: Path) -> None:
    content = gzip.compress(nib.Nifti1Image(noise(*SHAPE), AFFINE).to_bytes(), compresslevel=0)
    (tmp_path / "a.nii.gz").write_bytes(content)
    flip_a_byte(tmp_path / "a.nii.gz", byte=500)  # deflate stores at level 0: only the checksum can tell
    with pytest.raises(gzip.BadGzipFile, match="CRC check failed"):
        read_nifti(tmp_path / "a.nii.gz")


def test_compressed_file_without_its_checksum_is_cut_off(save: SaveNifti) -> None:
    path = save(noise(*SHAPE), name="a.nii.gz")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(EOFError, match="ended before the end-of-stream marker"):
        read_nifti(path)


def test_compressed_file_is_unpacked_once(save: SaveNifti, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened, original = save(noise(*SHAPE), name="a.nii.gz"), [], gzip.GzipFile.__init__

    def count(self: gzip.GzipFile, *args: object, **kwargs: object) -> None:
        opened.append(args)
        original(self, *args, **kwargs)

    monkeypatch.setattr(gzip.GzipFile, "__init__", count)
    np.asarray(read_nifti(path).dataobj)
    assert len(opened) == 1


def test_what_follows_the_image_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK_BYTES", 100)
    image = nib.Nifti1Image(noise(*SHAPE), AFFINE).to_bytes()  # 352 + 2 * 168 bytes; the header's reading takes 540
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(image + bytes(100_000)))
    image = read_nifti(tmp_path / "a.nii.gz")
    assert len(image.dataobj.file_like.getvalue()) == 540 + 200
    np.testing.assert_array_equal(image.dataobj, noise(*SHAPE))


def test_file_that_begins_otherwise_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(bytes(1000))
    with pytest.raises(ImageFileError, match="does not begin like a NIfTI file"):
        read_nifti(tmp_path / "a.nii")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("sizes", [(7, 6, 5), (32000, 32000, 32000)])
def test_header_that_asks_for_more_voxels_than_there_are(save: SaveNifti, name: str, sizes: tuple[int, ...]) -> None:
    path = save(noise(*SHAPE), (DIM, "4h", 3, *sizes), name=name)
    text = "x".join(map(str, sizes))
    with pytest.raises(VolumeError, match=rf"is truncated or damaged: .* {text} voxels of int16\. Copy or export"):
        read_nifti(path)


@pytest.mark.parametrize("size", [0, -5])
def test_header_without_voxels_is_refused(save: SaveNifti, size: int) -> None:
    with pytest.raises(VolumeError, match=rf"the image has no voxels \(shape 7x{size}x4\)"):
        read_nifti(save(noise(*SHAPE), (DIM, "4h", 3, 7, size, 4)))


@pytest.mark.parametrize(
    ("shape", "text"), [((5, 4, 3, 1, 2), r"5D \(5x4x3x1x2\)"), ((2,) * 6, r"6D \(2x2x2x2x2x2\)"), ((9,), r"1D \(9\)")]
)
def test_other_numbers_of_axes_are_refused(save: SaveNifti, shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(VolumeError, match=rf"the file is {text} where .* \(2D to 4D\) is needed\. Save one phase"):
        read_nifti(save(noise(*shape)))


@pytest.mark.parametrize("phases", [1, 3])
def test_further_axes_of_one_entry_are_dropped(save: SaveNifti, phases: int) -> None:
    path = save(noise(*SHAPE, phases, 1, 1), (112, "2f", 2.0, 5.0), name="a.nii.gz")
    image = read_nifti(path)
    np.testing.assert_array_equal(image.dataobj, 2.0 * noise(*SHAPE, phases) + 5.0)
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "text"), [("complex64", "complex64"), ([("R", "u1"), ("G", "u1"), ("B", "u1")], "RGB")]
)
def test_voxels_that_are_no_numbers_are_refused(save: SaveNifti, dtype: object, text: str) -> None:
    with pytest.raises(VolumeError, match=f"the voxels are {text}, not numbers"):
        read_nifti(save(np.zeros(SHAPE, dtype=dtype)))


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (-1.5, "-1.5"), (float("nan"), "nan")])
def test_spacing_that_nibabel_would_mend_is_refused(save: SaveNifti, value: float, text: str) -> None:
    path = save(noise(*SHAPE), (PIXDIM + 4, "3f", 1.25, value, 8))
    with pytest.raises(VolumeError, match=f"spacing must be above 0 mm, got 1.25, {text}, 8"):
        read_nifti(path)


@pytest.mark.parametrize("spacing", [(0.099, 1.5, 8), (1.5, 1.5, 30.1), (10.1, 10.1, 8), (50, 50, 8), (1.5, 1.5, 1e6)])
def test_spacing_of_no_heart_is_refused(save: SaveNifti, spacing: tuple[float, ...]) -> None:
    path = save(noise(*SHAPE), affine=np.diag([*spacing, 1.0]))
    got = re.escape(", ".join(f"{step:g}" for step in spacing))
    with pytest.raises(VolumeError, match=rf"be 0\.1 to 30 mm .* at most 10 mm within a slice, got {got}\. Check the"):
        read_nifti(path)


@pytest.mark.parametrize("spacing", [(0.1, 0.1, 0.5), (10, 10, 30), (30, 1.5, 1.5), (0.2, 5, 8)])
def test_spacing_of_a_heart_passes(save: SaveNifti, spacing: tuple[float, ...]) -> None:
    assert read_nifti(save(noise(*SHAPE), affine=np.diag([*spacing, 1.0]))).shape == SHAPE


def test_picture_has_no_slice_axis(save: SaveNifti) -> None:
    with pytest.raises(VolumeError, match=r"at most 10 mm within a slice, got 20, 1\.5"):
        read_nifti(save(noise(7, 6), affine=np.diag([20.0, 1.5, 8.0, 1.0])))


@pytest.mark.parametrize("rows", [(1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0), (float("nan"),) * 12], ids=["singular", "nan"])
def test_affine_that_viewers_cannot_use_is_refused(save: SaveNifti, rows: tuple[float, ...]) -> None:
    # the qform is sound, and the spacing that of the header
    with pytest.raises(VolumeError, match=r"affine is singular or not finite\. Export it with its position"):
        read_nifti(save(noise(*SHAPE), (SROW, "12f", *rows)))


def test_affine_without_position_is_refused(save: SaveNifti) -> None:
    # no sform, and a qform whose offset is infinite
    path = save(noise(*SHAPE), (CODES, "2h", 1, 0), (268, "f", float("inf")))
    with pytest.raises(VolumeError, match="affine is singular or not finite"):
        read_nifti(path)


def test_sform_that_contradicts_the_spacing_passes(save: SaveNifti) -> None:
    """ACDC's headers say 1 mm isotropic beside the right pixdim."""
    path = save(noise(*SHAPE), (PIXDIM + 4, "3f", 1.5625, 1.5625, 10), affine=np.diag([-1.0, -1.0, 1.0, 1.0]))
    image = read_nifti(path)
    np.testing.assert_array_equal(image.affine, np.diag([-1.0, -1.0, 1.0, 1.0]))
    np.testing.assert_allclose(np.abs(nifti_affine(image)), np.diag([1.5625, 1.5625, 10, 1]), atol=1e-6)

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from PIL import Image

from pipeline.data.volume import VolumeError, read_volume

SHAPE = (4, 5, 3)


def ramp(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def with_pixdim(path: str, index: int, value: float) -> None:
    """Overwrite one pixdim of an uncompressed NIfTI-1 file; the field is 8 floats at byte 76."""
    content = bytearray(Path(path).read_bytes())
    content[76 + 4 * index : 80 + 4 * index] = np.float32(value).tobytes()
    Path(path).write_bytes(content)


def test_values_and_affine_come_back(nifti, tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii.gz", ramp(*SHAPE))
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, ramp(*SHAPE))
    np.testing.assert_allclose(volume.affine, nib.load(path).affine, atol=1e-4)


def test_label_of_slicer_has_its_values(tmp_path: Path) -> None:
    labels = SimpleITK.GetImageFromArray(ramp(3, 5, 4).astype(np.uint8) % 4)
    labels.SetSpacing((1.4, 1.6, 8.0))
    SimpleITK.WriteImage(labels, str(tmp_path / "a.nrrd"), useCompression=True)
    volume = read_volume(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(volume.array, ramp(3, 5, 4).T % 4)
    np.testing.assert_allclose(volume.affine, np.diag([-1.4, -1.6, 8, 1]), atol=1e-6)


def test_phase_is_taken_from_a_4d_file(nifti, tmp_path: Path) -> None:
    cine = ramp(*SHAPE, 6)
    np.testing.assert_array_equal(read_volume(nifti(tmp_path / "a.nii.gz", cine), frame=2).array, cine[..., 2])


@pytest.mark.parametrize("shape", [(*SHAPE, 1), (*SHAPE, 1, 1)])
def test_only_phase_needs_no_name(nifti, tmp_path: Path, shape: tuple[int, ...]) -> None:
    volume = read_volume(nifti(tmp_path / "a.nii.gz", ramp(*shape)))
    np.testing.assert_array_equal(volume.array, ramp(*SHAPE))


def test_png_comes_as_column_and_row(tmp_path: Path) -> None:
    Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8)).save(tmp_path / "a.png")
    volume = read_volume(tmp_path / "a.png")
    np.testing.assert_array_equal(volume.array, [[1, 4], [2, 5], [3, 6]])
    assert volume.affine is None


def test_color_png_is_the_mean_of_its_colors(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3, 3), dtype=np.uint8)
    pixels[0, 1] = (10, 20, 60)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_volume(tmp_path / "a.png").array[1, 0] == 30


@pytest.mark.parametrize(
    ("shape", "frame", "message"),
    [
        ((4, 5, 3, 2), None, r"the file is 4D \(4x5x3x2\) where 3D is needed"),
        ((4, 5, 3), 0, r"phase 0 is asked of a 3D file \(4x5x3\)"),
        ((4, 5, 3, 2), 2, r"phase 2 is outside the file's 2 phases"),
        ((4, 5, 3, 2), -1, r"phase -1 is outside the file's 2 phases"),
        ((4, 0, 3), None, r"the image has no voxels \(shape 4x0x3\)"),
    ],
)
def test_wrong_dimensions_are_refused(nifti, tmp_path: Path, shape: tuple, frame: int | None, message: str) -> None:
    path = nifti(tmp_path / "a.nii", np.zeros(shape, dtype=np.uint8))
    with pytest.raises(VolumeError, match=message):
        read_volume(path, frame)


@pytest.mark.parametrize("kept", [0.5, 0.9])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nii"])
def test_truncated_file_is_refused(nifti, tmp_path: Path, suffix: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 30000, (16, 16, 4), dtype=np.int16)
    path = Path(nifti(tmp_path / f"a{suffix}", noise))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(VolumeError, match=r"(is truncated|cannot be read).*Copy or export the file again"):
        read_volume(path)


def test_flipped_byte_is_found(nifti, tmp_path: Path) -> None:
    content = bytearray(gzip.compress(Path(nifti(tmp_path / "a.nii", ramp(*SHAPE))).read_bytes(), compresslevel=0))
    content[400] ^= 0xFF  # stored, not compressed: only the checksum can tell
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(VolumeError, match=r"the file cannot be read: CRC check failed.*Copy or export the file again"):
        read_volume(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("content", [b"not an image", gzip.compress(b"not an image"), b"\x1f\x8b\x08\x00broken"])
def test_file_that_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(VolumeError, match=r"the file (is truncated|cannot be read)"):
        read_volume(tmp_path / "a.nii.gz")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="the file does not exist"):
        read_volume(tmp_path / "a.nii.gz")


def test_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").touch()
    with pytest.raises(VolumeError, match=r"the file is empty \(0 bytes\)"):
        read_volume(tmp_path / "a.nii.gz")


def test_other_format_under_a_nifti_reader_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mgz"
    nib.save(nib.MGHImage(np.zeros(SHAPE, dtype=np.float32), np.eye(4)), path)
    with pytest.raises(VolumeError, match=r"the file is MGHImage, not NIfTI. Convert it"):
        read_volume(path)


def test_complex_voxels_are_refused(nifti, tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", np.zeros(SHAPE, dtype=np.complex64))
    with pytest.raises(VolumeError, match="the voxels are complex64, not numbers"):
        read_volume(path)


@pytest.mark.parametrize(("value", "text"), [(0.0, "0, 1.6, 9"), (-1.4, "-1.4, 1.6, 9"), (np.nan, "nan, 1.6, 9")])
def test_spacing_of_the_header_must_be_positive(nifti, tmp_path: Path, value: float, text: str) -> None:
    path = nifti(tmp_path / "a.nii", ramp(*SHAPE))
    with_pixdim(path, index=1, value=value)
    with pytest.raises(VolumeError, match=f"the header's spacing must be above 0 mm, got {text}"):
        read_volume(path)


def test_affine_that_is_not_finite_is_refused(nifti, tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", ramp(*SHAPE))
    content = bytearray(Path(path).read_bytes())
    content[280 + 12 : 280 + 16] = np.float32(np.nan).tobytes()  # srow_x[3], the origin
    Path(path).write_bytes(content)
    with pytest.raises(VolumeError, match="the header's affine is singular or not finite"):
        read_volume(path)

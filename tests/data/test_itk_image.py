"""NRRD and MetaImage; expected affines are worked out by hand from ITK's LPS placement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from pipeline.data.image_file import open_image, read_image
from pipeline.data.itk_image import read_itk
from pipeline.data.nifti import VolumeError

SPACING = (1.4, 1.6, 8.0)
ORIGIN = (10.0, -20.0, 30.0)
# columns: a quarter turn about z, in LPS: x runs to P, y to R, z to S
DIRECTION = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
# LPS columns (0, 1.4, 0), (-1.6, 0, 0), (0, 0, 8) and the origin, with the first two rows' signs changed
AFFINE = np.array([[0, 1.6, 0, -10], [-1.4, 0, 0, 20], [0, 0, 8, 30], [0, 0, 0, 1]])


def noise(*shape: int, dtype: str = "int16") -> NDArray[np.generic]:
    return np.random.RandomState(0).randint(0, 1000, shape).astype(dtype)


def save(path: Path, voxels: NDArray[np.generic], compressed: bool = False) -> Path:
    """Write voxels (X, Y[, Z[, T]]) with the placement above."""
    image = SimpleITK.GetImageFromArray(voxels.T, isVector=False)
    axes = image.GetDimension()
    direction = np.eye(axes)
    direction[: min(axes, 3), : min(axes, 3)] = np.reshape(DIRECTION, (3, 3))[: min(axes, 3), : min(axes, 3)]
    image.SetSpacing((*SPACING, 33.0)[:axes])
    image.SetOrigin((*ORIGIN, 0.0)[:axes])
    image.SetDirection(direction.ravel().tolist())
    SimpleITK.WriteImage(image, str(path), useCompression=compressed)
    return path


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_voxels_and_place_in_ras(tmp_path: Path, suffix: str) -> None:
    voxels = noise(7, 5, 3)
    image = read_image(save(tmp_path / f"a{suffix}", voxels))
    np.testing.assert_array_equal(image.dataobj, voxels)
    np.testing.assert_allclose(image.affine, AFFINE)
    assert image.header.get_zooms() == pytest.approx(SPACING)
    np.testing.assert_allclose(image.get_qform(), AFFINE, atol=1e-5)


def test_cine_has_its_phases_last(tmp_path: Path) -> None:
    voxels = noise(7, 5, 3, 2)
    image = read_itk(save(tmp_path / "a.mha", voxels))
    np.testing.assert_array_equal(image.dataobj, voxels)
    np.testing.assert_allclose(image.affine, AFFINE)


@pytest.mark.parametrize("first", [True, False])
def test_sequence_of_slicer_is_a_cine(tmp_path: Path, first: bool) -> None:
    voxels = noise(7, 5, 3, 2)
    domain = ["(0,1.4,0) (-1.6,0,0) (0,0,8)", "domain domain domain", "7 5 3"]
    directions, kinds, sizes = (
        f"{one} {text}" if first else f"{text} {one}" for one, text in zip(("none", "list", "2"), domain, strict=True)
    )
    header = (
        "NRRD0005\ntype: short\ndimension: 4\nspace: left-posterior-superior\n"
        f"sizes: {sizes}\nspace directions: {directions}\nkinds: {kinds}\n"
        "endian: little\nencoding: raw\nspace origin: (10,-20,30)\n\n"
    )
    stored = np.moveaxis(voxels, -1, 0) if first else voxels
    (tmp_path / "a.seq.nrrd").write_bytes(header.encode() + stored.astype("<i2").tobytes(order="F"))
    image = read_itk(tmp_path / "a.seq.nrrd")
    np.testing.assert_array_equal(image.dataobj, voxels)
    np.testing.assert_allclose(image.affine, AFFINE)


def test_picture_has_two_axes(tmp_path: Path) -> None:
    image = read_itk(save(tmp_path / "a.mha", noise(7, 5)))
    assert image.shape == (7, 5)
    assert image.header.get_zooms() == pytest.approx(SPACING[:2])


@pytest.mark.parametrize(("value", "dtype"), [(3, "int32"), (2**40, "float64"), (-(2**40), "float64")])
def test_integers_of_64_bits(tmp_path: Path, value: int, dtype: str) -> None:
    voxels = np.zeros((3, 4, 2), dtype=np.int64)
    voxels[1, 2, 1] = value
    image = read_itk(save(tmp_path / "a.nrrd", voxels))
    assert image.get_data_dtype() == np.dtype(dtype)
    assert image.dataobj[1, 2, 1] == value


def test_colors_are_refused(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(noise(2, 5, 7, 3, dtype="uint8"), isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"))
    with pytest.raises(VolumeError, match=r"the voxels are vector of 8-bit unsigned integer \(3 numbers each\)"):
        read_itk(tmp_path / "a.mha")


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    image = SimpleITK.RealAndImaginaryToComplex(*[SimpleITK.GetImageFromArray(np.ones((2, 3, 4)))] * 2)
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(VolumeError, match="the voxels are"):
        read_itk(tmp_path / "a.nrrd")


def test_spacing_in_meters_is_refused(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(noise(3, 5, 7))
    image.SetSpacing((0.0014, 0.0014, 0.008))
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"))
    with pytest.raises(VolumeError, match=r"spacing must be 0\.1 to 30 mm along each axis .* got 0\.0014"):
        read_itk(tmp_path / "a.mha")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("compressed", [True, False])
def test_file_cut_off_is_no_image(tmp_path: Path, suffix: str, compressed: bool) -> None:
    path = save(tmp_path / f"a{suffix}", noise(40, 30, 5), compressed)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(VolumeError, match="damaged"):
        read_itk(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_damaged_voxels_are_no_image(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a{suffix}", noise(40, 30, 5), compressed=True)
    content = bytearray(path.read_bytes())
    content[-len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(VolumeError, match="damaged"):
        read_itk(path)


def test_fewer_compressed_voxels_than_the_header_says(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mha", noise(40, 30, 5), compressed=True)
    path.write_bytes(path.read_bytes().replace(b"DimSize = 40 30 5", b"DimSize = 40 30 6"))
    with pytest.raises(VolumeError, match="cut off: it holds 12000 of 14400 bytes"):  # two a voxel
        read_itk(path)


@pytest.mark.parametrize(("suffix", "line"), [(".nrrd", b"space directions: "), (".mha", b"ElementSpacing = ")])
def test_file_without_spacing_is_refused(tmp_path: Path, suffix: str, line: bytes) -> None:
    path = save(tmp_path / f"a{suffix}", noise(7, 5, 3))
    content = path.read_bytes()
    path.write_bytes(content.replace(line, b"#" + line if suffix == ".nrrd" else b"Comment = "))
    with pytest.raises(VolumeError, match="the header has no spacing"):
        read_itk(path)


def test_spacing_in_cm_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nrrd", noise(7, 5, 3))
    path.write_bytes(path.read_bytes().replace(b"\nendian", b'\nspace units: "mm" "mm" "cm"\nendian'))
    with pytest.raises(VolumeError, match="spacing must be in mm, got cm"):
        read_itk(path)


@pytest.mark.parametrize(
    ("suffix", "old", "new"),
    [(".nrrd", b"\nendian", b"\ndata file: b.raw\nendian"), (".mha", b"= LOCAL", b"= b.raw")],
)
def test_voxels_in_another_file_are_refused(tmp_path: Path, suffix: str, old: bytes, new: bytes) -> None:
    path = save(tmp_path / f"a{suffix}", noise(7, 5, 3))
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(VolumeError, match="the voxels are in another file"):
        read_itk(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_file_of_another_kind(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(bytes(range(256)) * 100)
    with pytest.raises(VolumeError, match="ITK cannot read the file: it is damaged, cut off or of another kind"):
        read_itk(path)


def test_fifth_axis_of_one_is_dropped(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(noise(1, 2, 3, 5, 7), isVector=False)
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"))
    assert read_itk(tmp_path / "a.mha").shape == (7, 5, 3, 2)


def test_file_that_was_read_before_is_opened_again(tmp_path: Path) -> None:
    np.testing.assert_allclose(open_image(save(tmp_path / "a.mha", noise(7, 5, 3))).affine, AFFINE)

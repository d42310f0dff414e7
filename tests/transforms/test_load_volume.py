"""Image files that can be read, and those that cannot."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from monai.transforms import LoadImage
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from pipeline.errors import InputError, input_error_within
from pipeline.transforms import LoadVolume, LoadVolumed
from pipeline.transforms.load_volume import CheckedReader

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


@pytest.fixture
def sitk_cine(tmp_path: Path) -> Path:
    """4 phases of 5 slices, 1.4 x 1.6 x 8 mm; voxels tell phase and slice."""
    phases, slices = np.meshgrid(np.arange(4), np.arange(5), indexing="ij")
    voxels = np.broadcast_to((10 * phases + slices)[..., None, None], (4, 5, 6, 7)).astype(np.int16)
    cine = SimpleITK.GetImageFromArray(voxels, isVector=False)
    cine.SetSpacing((1.4, 1.6, 8.0, 40.0))
    SimpleITK.WriteImage(cine, str(tmp_path / "cine.mha"))
    return tmp_path / "cine.mha"


def test_metaimage_is_a_cine_with_its_grid(sitk_cine: Path) -> None:
    cine = LoadVolume()(sitk_cine)
    assert cine.shape == (7, 6, 5, 4)
    assert cine[0, 0, 3].tolist() == [3, 13, 23, 33]
    np.testing.assert_allclose(cine.affine, np.diag([-1.4, -1.6, 8, 1]), atol=1e-6)
    assert cine.movedim(-1, 0).is_contiguous()  # a phase lies together


def test_metaimage_that_cannot_be_read_is_named_and_nothing_else(sitk_cine: Path) -> None:
    cut_in_half(sitk_cine)
    with pytest.raises(InputError, match=r"cine\.mha cannot be read: ITK cannot read the file: .*cut off") as error:
        LoadVolume()(sitk_cine)
    assert "/tmp/SimpleITK" not in str(error.value)


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


def test_flipped_byte_that_nibabel_overlooks_is_found(scan: Path) -> None:
    content = bytearray(gzip.compress(nib.load(scan).to_bytes(), compresslevel=0))
    content[500] ^= 0xFF  # stored, not compressed: only the checksum can tell
    scan.write_bytes(content)
    nib.load(scan).get_fdata()
    with pytest.raises(InputError, match=r"scan\.nii\.gz cannot be read: .*CRC check failed.* Copy or export it again"):
        LoadVolume()(scan)


def test_unsound_header_is_refused_with_the_name_of_its_file(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.ones((4, 3, 2), np.int16), np.diag([50, 50, 8, 1])), tmp_path / "wide.nii.gz")
    with pytest.raises(InputError, match=r"wide\.nii\.gz cannot be read: .* got 50, 50, 8\. Check the unit") as caught:
        LoadVolume()(tmp_path / "wide.nii.gz")
    # it is what the user is shown
    assert input_error_within(caught.value) is caught.value


@pytest.mark.parametrize("offset", [float("nan"), float("inf")])
def test_header_that_no_number_describes_is_refused(scan: Path, offset: float) -> None:
    content = bytearray(nib.load(scan).to_bytes())
    content[108:112] = np.float32(offset).tobytes()
    scan.write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match=r"scan\.nii\.gz cannot be read: "):
        LoadVolume()(scan)


@pytest.mark.parametrize("shape", [(12, 10), (12, 10, 4), (12, 10, 4, 3), (12, 10, 1, 1)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_metadata_is_that_of_monai(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    path = tmp_path / f"a{suffix}"
    nib.save(nib.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), AFFINE), path)
    image, expected = LoadVolume()(path), LoadImage(image_only=True)(path)
    np.testing.assert_array_equal(image, expected)
    assert image.dtype == expected.dtype
    assert set(image.meta) == set(expected.meta)
    for key in ("filename_or_obj", "affine", "original_affine", "original_channel_dim", "spatial_shape", "space"):
        np.testing.assert_array_equal(image.meta[key], expected.meta[key])


def test_fifth_axis_of_one_entry_is_dropped(tmp_path: Path) -> None:
    voxels = np.arange(72, dtype=np.int16).reshape(4, 3, 2, 3, 1)
    nib.save(nib.Nifti1Image(voxels, AFFINE), tmp_path / "a.nii.gz")
    image = LoadVolume()(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(image, voxels[..., 0])
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)
    assert image.meta["spatial_shape"].tolist() == [4, 3, 2]


def test_reader_stacks_a_list_as_that_of_monai(scan: Path) -> None:
    load = LoadImage(reader=CheckedReader)
    np.testing.assert_array_equal(load([scan, scan]), LoadImage()([scan, scan]))


def test_decoders_that_are_not_needed_are_not_missed(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    LoadVolume()
    assert [record.message for record in caplog.records if "nvImageCodec" in record.message] == []
    assert [str(warning.message) for warning in recwarn if "NvImgCodec" in str(warning.message)] == []


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


@pytest.fixture
def cine(tmp_path: Path) -> Path:
    """Folder of 3 slices of 5 phases, 10 mm apart, series 5; each image has one value: 10 x slice + phase."""
    folder = tmp_path / "cine"
    folder.mkdir()
    for z, t in np.ndindex(3, 5):
        image = Dataset()
        image.SOPClassUID, image.SOPInstanceUID, image.Modality = MRImageStorage, f"1.3.{z}.{t}", "MR"
        image.SeriesNumber, image.SeriesDescription, image.TriggerTime = 5, "sax", 30 * t
        image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [1, 2, 10 * z]
        image.PixelSpacing, image.Rows, image.Columns, image.SamplesPerPixel = [1.5, 1.25], 4, 6, 1
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
        image.PhotometricInterpretation = "MONOCHROME2"
        image.PixelData = np.full((4, 6), 10 * z + t, "<u2").tobytes()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dcmwrite(folder / f"{z}{t}", image, enforce_file_format=True)
    return folder


def test_dicom_folder_is_a_cine(cine: Path) -> None:
    image = LoadVolume()(cine)
    assert image.shape == (6, 4, 3, 5)
    assert image[0, 0].tolist() == [[0, 1, 2, 3, 4], [10, 11, 12, 13, 14], [20, 21, 22, 23, 24]]
    np.testing.assert_allclose(image.affine, [[-1.25, 0, 0, -1], [0, -1.5, 0, -2], [0, 0, 10, 0], [0, 0, 0, 1]])


def test_list_of_dicom_files_is_a_cine(cine: Path) -> None:
    image = LoadVolume()(sorted(cine.iterdir(), reverse=True))
    np.testing.assert_array_equal(image, LoadVolume()(cine))


def test_single_dicom_file_is_read_as_dicom(cine: Path) -> None:
    assert LoadVolume()(cine / "10", series="5").shape == (6, 4, 1)


def test_dicom_study_that_cannot_be_read_is_refused(cine: Path) -> None:
    with pytest.raises(InputError, match="series must be a series number or UID"):
        LoadVolume()(cine, series="7")


def test_series_of_the_item_goes_before_that_of_the_transform(cine: Path) -> None:
    load = LoadVolumed(keys="image", series=7)
    assert load({"image": str(cine), "series": "5"})["image"].shape == (6, 4, 3, 5)
    with pytest.raises(InputError, match="got '7'"):
        load({"image": str(cine)})


def save_cine(path: Path) -> np.ndarray:
    """Write three phases as int16 with slope 0.5 and intercept 3, and return their values."""
    voxels = np.random.default_rng(0).integers(0, 1000, (6, 5, 4, 3)).astype(np.int16)
    image = nib.Nifti1Image(voxels, AFFINE)
    image.header.set_slope_inter(0.5, 3.0)
    nib.save(image, path)
    return np.asarray(nib.load(path).dataobj, dtype=np.float32)


@pytest.mark.parametrize("name", ["cine.nii", "cine.nii.gz"])
def test_cine_has_its_phases_last(tmp_path: Path, name: str) -> None:
    expected = save_cine(tmp_path / name)
    np.testing.assert_array_equal(LoadVolume()(tmp_path / name).numpy(), expected)


def test_phases_of_a_cine_lie_one_behind_the_other_in_memory(tmp_path: Path) -> None:
    save_cine(tmp_path / "cine.nii.gz")
    image = LoadVolume()(tmp_path / "cine.nii.gz")
    assert image.movedim(-1, 0).is_contiguous()
    np.testing.assert_allclose(image.affine.numpy(), AFFINE)

"""Studies that got broken: each is read as it was meant, with the repair told, or refused with file and reason.

The rules are those of ``pipeline.data.dicom.rules``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, generate_uid

from pipeline.data.dicom import read_cine
from pipeline.errors import InputError

sys.path.insert(0, str(Path(__file__).parent))  # the importlib mode of pytest leaves it out
import damage as dm


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> dm.Folder:
    return dm.write_folder(tmp_path_factory.mktemp("template"))


@pytest.fixture
def folder(template: dm.Folder, tmp_path: Path) -> dm.Folder:
    """Four slices of six phases, one series, a file an image."""
    return dm.copy_folder(template, tmp_path / "study")


# Lost and repeated images


def test_file_cut_off_in_its_pixels_is_left_out(folder: dm.Folder) -> None:
    dm.cut(folder.file(1, 2), 0.7)
    stack, pixels = dm.read(folder)
    dm.assert_nearest_phase(folder, pixels, 1, 2)
    dm.assert_told(stack, "cut off", "left out")


def test_file_cut_off_in_its_header_is_left_out(folder: dm.Folder) -> None:
    dm.cut_header(folder.file(2, 4))
    stack, pixels = dm.read(folder)
    dm.assert_nearest_phase(folder, pixels, 2, 4)
    dm.assert_told(stack, "cut off", "left out")


def test_compressed_pixels_that_cannot_be_decoded_are_refused(folder: dm.Folder) -> None:
    file = folder.file(0, 3)
    dm.transcode(file, dm.COMPRESSED["JPEG-LS"])
    dm.edit(file, lambda image: setattr(image, "PixelData", encapsulate([bytes(500)])))
    with pytest.raises(InputError, match=rf"{file.name} cannot be decoded"):
        dm.read(folder)


def test_missing_phase_takes_the_image_nearest_in_time(folder: dm.Folder) -> None:
    folder.file(3, 0).unlink()
    stack, pixels = dm.read(folder)
    dm.assert_nearest_phase(folder, pixels, 3, 0)
    dm.assert_told(stack, "phase", "nearest")


def test_slice_with_too_few_phases_is_refused(folder: dm.Folder) -> None:
    for phase in range(4):
        folder.file(1, phase).unlink()
    with pytest.raises(InputError, match=r"2 of 6 .*at least half"):
        dm.read(folder)


def test_copies_under_other_names_are_read_once(folder: dm.Folder) -> None:
    for file in folder.files[:7]:
        dm.copy_as(file, f"copy of {file.name}")
    stack, pixels = dm.read(folder)
    dm.assert_read_whole(folder, stack, pixels)
    dm.assert_told(stack, "7 images", "twice", "once")


def test_copy_that_is_cut_off_does_not_hide_the_whole_file(folder: dm.Folder) -> None:
    dm.cut(dm.copy_as(folder.file(0, 0), "a_cut.dcm"), 0.5)
    dm.assert_read_whole(folder, *dm.read(folder))


def test_of_a_slice_that_was_taken_twice_the_last_counts(folder: dm.Folder) -> None:
    first = dm.replace(folder.study, cine=folder.cine // 2)
    dm.add_series(folder, "Cine SAX bSSFP", first, number=0)
    stack, pixels = dm.read(folder)
    dm.assert_read_whole(folder, stack, pixels)


def test_of_an_image_that_was_taken_twice_the_last_counts(folder: dm.Folder) -> None:
    again = dm.copy_as(folder.file(1, 1), "again.dcm")
    dm.edit(again, lambda image: setattr(image, "PixelData", bytes(len(image.PixelData))), InstanceNumber=99)
    dm.edit(again, SOPInstanceUID=generate_uid(), AcquisitionNumber=2)
    stack, pixels = dm.read(folder)
    assert not pixels[:, :, 1, 1].any()
    dm.assert_told(stack, "last")


# Slices


def test_slice_of_another_size_is_left_out(folder: dm.Folder) -> None:
    def crop(image: pydicom.Dataset) -> None:
        image.PixelData = np.ascontiguousarray(image.pixel_array[:-2]).tobytes()
        image.Rows -= 2

    dm.edit(folder.slice_files(0), crop)
    stack, pixels = dm.read(folder)
    assert np.array_equal(pixels, folder.cine[:, :, 1:])
    assert stack.affine[:3, 3] == pytest.approx((folder.affine @ [0, 0, 1, 1])[:3], abs=1e-3)
    dm.assert_told(stack, "left out")


def test_slice_of_another_direction_is_left_out(folder: dm.Folder) -> None:
    across = dm.turned(folder.study)
    dm.edit(folder.slice_files(3), ImageOrientationPatient=across.orientation())
    stack, pixels = dm.read(folder)
    assert np.array_equal(pixels, folder.cine[:, :, :3])
    dm.assert_told(stack, "left out")


def test_slice_far_off_the_others_is_left_out(folder: dm.Folder) -> None:
    normal = np.cross(*np.reshape(folder.study.orientation(), (2, 3)).astype(float))
    far = np.array(folder.study.position(3), dtype=float) + 250 * normal
    dm.edit(folder.slice_files(3), ImagePositionPatient=[f"{value:.4f}" for value in far])
    stack, pixels = dm.read(folder)
    assert np.array_equal(pixels, folder.cine[:, :, :3])
    dm.assert_told(stack, "left out")


def test_missing_slice_leaves_the_others_where_they_are(folder: dm.Folder) -> None:
    for file in folder.slice_files(1):
        file.unlink()
    stack, pixels = dm.read(folder)
    assert np.array_equal(pixels, folder.cine[:, :, [0, 2, 3]])
    assert stack.affine[:3, 3] == pytest.approx(folder.affine[:3, 3], abs=1e-3)
    assert (stack.affine @ [0, 0, 2, 1]) == pytest.approx(folder.affine @ [0, 0, 3, 1], abs=1e-3)
    dm.assert_told(stack, "slice")


def test_slices_at_unequal_distances_have_their_mean(folder: dm.Folder) -> None:
    normal = np.cross(*np.reshape(folder.study.orientation(), (2, 3)).astype(float))
    moved = np.array(folder.study.position(1), dtype=float) + 2 * normal
    dm.edit(folder.slice_files(1), ImagePositionPatient=[f"{value:.4f}" for value in moved])
    stack, pixels = dm.read(folder)
    dm.assert_read_whole(folder, stack, pixels)
    dm.assert_told(stack, "distance")


def test_slice_thickness_is_not_the_distance_of_slices(folder: dm.Folder) -> None:
    dm.edit(folder.files, SliceThickness="3", SpacingBetweenSlices="77")
    dm.assert_read_whole(folder, *dm.read(folder))


# Geometry that is missing or cannot be


@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"])
def test_geometry_missing_in_an_image_is_that_of_its_slice(folder: dm.Folder, keyword: str) -> None:
    dm.edit(folder.file(2, 2), **{keyword: None})
    stack, pixels = dm.read(folder)
    dm.assert_read_whole(folder, stack, pixels)
    dm.assert_told(stack, "without", "same slice")


@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"])
def test_geometry_missing_everywhere_is_refused(folder: dm.Folder, keyword: str) -> None:
    dm.edit(folder.files, **{keyword: None})
    with pytest.raises(InputError, match=rf"{keyword} is missing in .*IM\d+\.dcm"):
        dm.read(folder)


@pytest.mark.parametrize(
    "spacing", [["1500", "1500"], ["-1.5", "1.5"], ["0", "0"], ["1e-9", "1"]], ids=["huge", "negative", "zero", "tiny"]
)
def test_impossible_pixel_spacing_is_refused(folder: dm.Folder, spacing: list[str]) -> None:
    dm.edit(folder.files, PixelSpacing=spacing)
    with pytest.raises(InputError, match=r"PixelSpacing must be .* got .*IM\d+\.dcm"):
        dm.read(folder)


@pytest.mark.parametrize("spacing", [["nan", "nan"], ["1.5"], ["wide", "high"]])
def test_pixel_spacing_that_is_none_is_missing(folder: dm.Folder, spacing: list[str]) -> None:
    dm.edit(folder.files, lambda image: dm.set_raw(image, "PixelSpacing", "\\".join(spacing)))
    with pytest.raises(InputError, match=r"PixelSpacing is missing in .*IM\d+\.dcm"):
        dm.read(folder)


@pytest.mark.parametrize(
    "orientation", [["0"] * 6, ["1", "0", "0", "1", "0", "0"], ["2", "0", "0", "0", "2", "0"]], ids=str
)
def test_orientation_that_is_none_is_refused(folder: dm.Folder, orientation: list[str]) -> None:
    dm.edit(folder.files, ImageOrientationPatient=orientation)
    with pytest.raises(InputError, match=r"ImageOrientationPatient must be two unit vectors .*IM\d+\.dcm"):
        dm.read(folder)


def test_slices_on_top_of_each_other_are_no_stack(folder: dm.Folder) -> None:
    dm.edit(folder.files, ImagePositionPatient=folder.study.position(0))
    with pytest.raises(InputError, match="no short-axis cine"):
        dm.read(folder)


def test_gigantic_slice_distance_is_refused(tmp_path: Path) -> None:
    affine = dm.phantom_study().affine.copy()
    affine[:3, 2] *= 30
    with pytest.raises(InputError, match="300 mm"):
        dm.read(dm.write_folder(tmp_path, affine=affine))


def test_frame_without_position_is_left_out(tmp_path: Path) -> None:
    folder = dm.write_folder(tmp_path, "enhanced")
    dm.edit(folder.files, lambda image: image.PerFrameFunctionalGroupsSequence[3].pop("PlanePositionSequence"))
    stack, pixels = dm.read(folder)
    dm.assert_nearest_phase(folder, pixels, 0, 3)
    dm.assert_told(stack, "without", "position", "left out")


@pytest.mark.parametrize(
    "claim", [{"NumberOfFrames": "999999999"}, {"Rows": 65535, "Columns": 65535}], ids=["frames", "pixels"]
)
def test_image_that_claims_more_than_it_holds_is_left_out(folder: dm.Folder, claim: dict[str, object]) -> None:
    dm.edit(folder.file(0, 0), **claim)
    stack, pixels = dm.read(folder)
    dm.assert_nearest_phase(folder, pixels, 0, 0)
    dm.assert_told(stack, "left out")


def test_compressed_image_that_claims_more_than_it_holds_is_left_out(folder: dm.Folder) -> None:
    dm.transcode(folder.file(0, 0), dm.COMPRESSED["RLE"])
    dm.edit(folder.file(0, 0), NumberOfFrames="999999999")
    stack, pixels = dm.read(folder)
    dm.assert_nearest_phase(folder, pixels, 0, 0)
    dm.assert_told(stack, "claims to hold 999999999 images", "left out")


def test_slice_at_a_place_beyond_all_measure_is_left_out(folder: dm.Folder) -> None:
    position = "\\".join(["1e300"] * 3)
    dm.edit(folder.slice_files(0), lambda image: dm.set_raw(image, "ImagePositionPatient", position))
    stack, pixels = dm.read(folder)
    assert np.array_equal(pixels, folder.cine[:, :, 1:])
    dm.assert_told(stack, "slice", "left out")
    assert all(len(repair.problem) < 200 for repair in stack.repairs)


def test_slices_turned_within_the_tolerance_stay(folder: dm.Folder) -> None:
    x, y = np.reshape(folder.study.orientation(), (2, 3)).astype(float)
    angle = np.deg2rad(0.3)
    turned = (np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x)
    dm.edit(folder.slice_files(2), ImageOrientationPatient=[f"{value:.6f}" for value in np.ravel(turned)])
    dm.assert_read_whole(folder, *dm.read(folder))


def test_sheared_stack_keeps_its_places(folder: dm.Folder) -> None:
    x = np.array(folder.study.orientation()[:3], dtype=float)
    for z in range(dm.SLICES):
        moved = np.array(folder.study.position(z), dtype=float) + 5 * z * x
        dm.edit(folder.slice_files(z), ImagePositionPatient=[f"{value:.4f}" for value in moved])
    stack, pixels = dm.read(folder)
    assert np.array_equal(pixels, folder.cine)
    expected = (folder.affine @ [0, 0, 3, 1])[:3] + 15 * x * [-1, -1, 1]
    assert (stack.affine @ [0, 0, 3, 1])[:3] == pytest.approx(expected, abs=1e-3)
    dm.assert_told(stack, "sheared")


# Nothing to read


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path.name)):
        read_cine(tmp_path)


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        read_cine(tmp_path / "nowhere")


def test_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    dm.add_junk(tmp_path)
    with pytest.raises(InputError, match=str(tmp_path.name)):
        read_cine(tmp_path)


def test_folder_of_ct_is_refused(folder: dm.Folder) -> None:
    dm.edit(folder.files, dm.to_ct)
    with pytest.raises(InputError, match=r"MR.*CT.*IM\d+\.dcm"):
        dm.read(folder)


def test_encrypted_files_are_refused(folder: dm.Folder) -> None:
    for file in folder.files:
        dm.encrypt(file)
    with pytest.raises(InputError, match=r"IM\d+\.dcm.*encrypted"):
        dm.read(folder)


def test_folder_of_cut_files_is_refused(folder: dm.Folder) -> None:
    for file in folder.files:
        dm.cut(file, 0.6)
    with pytest.raises(InputError, match=r"IM\d+\.dcm|cut off"):
        dm.read(folder)


def test_enhanced_object_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    folder = dm.write_folder(tmp_path, "enhanced")
    dm.cut(folder.files[0], 0.8)
    with pytest.raises(InputError, match=r"IM0001\.dcm.*cut off|cut off.*IM0001\.dcm"):
        dm.read(folder)


def test_pixels_in_an_encoding_of_films_are_refused(folder: dm.Folder) -> None:
    def change(image: pydicom.Dataset) -> None:
        image.file_meta.TransferSyntaxUID = MPEG2MPML
        image.PixelData = encapsulate([bytes(500)])

    dm.edit(folder.files, change)
    with pytest.raises(InputError, match=r"IM\d+\.dcm cannot be decoded"):
        dm.read(folder)


def test_one_image_many_times_is_no_cine(folder: dm.Folder) -> None:
    content = folder.files[0].read_bytes()
    for file in folder.files:
        file.write_bytes(content)
    with pytest.raises(InputError, match="no short-axis cine"):
        dm.read(folder)


def test_images_without_pixels_are_refused(folder: dm.Folder) -> None:
    dm.edit(folder.files, PixelData=None)
    with pytest.raises(InputError, match=r"IM\d+\.dcm.*no pixel data"):
        dm.read(folder)


def test_rescale_slope_of_zero_is_refused(folder: dm.Folder) -> None:
    dm.edit(folder.files, RescaleSlope="0", RescaleIntercept="0")
    with pytest.raises(InputError, match=r"RescaleSlope must not be 0.*IM\d+\.dcm"):
        dm.read(folder)


def test_ten_thousand_other_files_do_not_hide_the_cine(folder: dm.Folder) -> None:
    (folder.path / "many").mkdir()
    for number in range(10_000):
        (folder.path / "many" / f"{number}.txt").touch()
    dm.assert_read_whole(folder, *dm.read(folder))

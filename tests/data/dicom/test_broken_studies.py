"""Studies as they come, and as they get broken: each is read as it was meant, with the repair told, or refused.

The rules are those of ``pipeline.data.dicom.rules``.
"""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, generate_uid

from pipeline.data.dicom import load_pixels, read_cine
from pipeline.data.dicom.cine import CineStack
from pipeline.errors import InputError

sys.path.insert(0, str(Path(__file__).parent))  # the importlib mode of pytest leaves it out
import damage as dm

Pixels = NDArray[np.generic]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> dm.Folder:
    return dm.write_folder(tmp_path_factory.mktemp("template"))


@pytest.fixture
def folder(template: dm.Folder, tmp_path: Path) -> dm.Folder:
    """Four slices of six phases, one series, a file an image."""
    return dm.copy_folder(template, tmp_path / "study")


def read(folder: dm.Folder, series: str = "") -> tuple[CineStack, Pixels]:
    stack = read_cine(folder.path, series)
    return stack, load_pixels(stack)


def assert_read_whole(folder: dm.Folder, stack: CineStack, pixels: Pixels) -> None:
    assert np.array_equal(pixels, folder.cine)
    assert stack.affine == pytest.approx(folder.affine, abs=1e-3)
    assert stack.shape == folder.cine.shape


def assert_told(stack: CineStack, *words: str) -> None:
    """Assert that one repair says all the words."""
    texts = [f"{repair.problem}: {repair.resolution}".lower() for repair in stack.repairs]
    assert any(all(word in text for word in words) for text in texts), texts


def assert_nearest_phase(folder: dm.Folder, pixels: Pixels, z: int, phase: int) -> None:
    """Assert that a lost image was replaced by that before or after it, and all others are as they were."""
    expected = folder.cine.copy()
    expected[:, :, z, phase] = pixels[:, :, z, phase]
    assert np.array_equal(pixels, expected)
    neighbors = [folder.cine[:, :, z, (phase + step) % dm.PHASES] for step in (-1, 1)]
    assert any(np.array_equal(pixels[:, :, z, phase], neighbor) for neighbor in neighbors)


# Whole studies, however they are written


@pytest.mark.parametrize("style", ["classic", "series_a_slice", "enhanced"])
@pytest.mark.parametrize("slices_backwards", [False, True])
def test_every_style_and_direction_is_read_alike(tmp_path: Path, style: str, slices_backwards: bool) -> None:
    folder = dm.write_folder(tmp_path, style, slices_backwards)
    stack, pixels = read(folder)
    assert_read_whole(folder, stack, pixels)
    assert stack.repairs == ()


def test_times_and_patient_are_read(tmp_path: Path) -> None:
    stack, _ = read(dm.write_folder(tmp_path, height_cm=181.0, weight_kg=64.0))
    assert stack.phase_times_ms == pytest.approx([0, 150, 300, 450, 600, 750])
    assert stack.heart_rate_bpm == pytest.approx(67, abs=0.5)
    assert (stack.height_cm, stack.weight_kg) == (pytest.approx(181), pytest.approx(64))


@pytest.mark.parametrize("syntax", dm.COMPRESSED)
def test_compressed_pixels_are_decoded(folder: dm.Folder, syntax: str) -> None:
    for file in folder.files:
        dm.transcode(file, dm.COMPRESSED[syntax])
    assert_read_whole(folder, *read(folder))


@pytest.mark.parametrize("syntax", dm.COMPRESSED)
def test_compressed_frames_are_decoded(tmp_path: Path, syntax: str) -> None:
    folder = dm.write_folder(tmp_path, "enhanced")
    dm.transcode(folder.files[0], dm.COMPRESSED[syntax])
    assert_read_whole(folder, *read(folder))


@pytest.mark.parametrize("rewrite", [dm.deflate, dm.to_big_endian, dm.without_preamble])
def test_other_encodings_are_read(folder: dm.Folder, rewrite: Callable[[Path], None]) -> None:
    for file in folder.files:
        rewrite(file)
    assert_read_whole(folder, *read(folder))


def test_mixed_encodings_are_read(folder: dm.Folder) -> None:
    for z, syntax in enumerate(dm.COMPRESSED.values()):
        for file in folder.slice_files(z)[1:]:
            dm.transcode(file, syntax)
    assert_read_whole(folder, *read(folder))


def test_nested_shuffled_files_without_extension_among_junk_are_read(folder: dm.Folder) -> None:
    dm.scatter(folder)
    dm.add_junk(folder.path / "DIR0")
    assert_read_whole(folder, *read(folder))


def test_paths_may_come_as_a_list_in_any_order(folder: dm.Folder) -> None:
    paths = [str(file) for file in folder.files]
    random.Random(1).shuffle(paths)
    stack = read_cine(paths)
    assert_read_whole(folder, stack, load_pixels(stack))


def test_loop_of_links_ends(folder: dm.Folder) -> None:
    (folder.path / "again").symlink_to(folder.path, target_is_directory=True)
    assert_read_whole(folder, *read(folder))


def test_instance_numbers_say_nothing_of_places(folder: dm.Folder) -> None:
    numbers = list(range(1, len(folder.files) + 1))
    random.Random(2).shuffle(numbers)
    dm.each(folder.files, "InstanceNumber", numbers)
    assert_read_whole(folder, *read(folder))


def test_rescale_slope_and_intercept_of_each_image_count(folder: dm.Folder) -> None:
    dm.edit(folder.slice_files(2), RescaleSlope="2", RescaleIntercept="-7")
    _, pixels = read(folder)
    expected = folder.cine.astype(int)
    expected[:, :, 2] = 2 * expected[:, :, 2] - 7
    assert np.array_equal(pixels, expected)


def test_signed_pixels_are_read(folder: dm.Folder) -> None:
    def change(dataset: pydicom.Dataset) -> None:
        values = np.frombuffer(dataset.PixelData, "<u2").astype("<i2") - 100
        dataset.PixelData, dataset.PixelRepresentation = values.tobytes(), 1

    dm.edit(folder.files, change)
    assert np.array_equal(read(folder)[1], folder.cine.astype(int) - 100)


# Times


def test_phases_follow_the_temporal_position_where_there_is_no_trigger_time(folder: dm.Folder) -> None:
    dm.edit(folder.files, TriggerTime=None)
    dm.each(folder.files, "InstanceNumber", range(len(folder.files), 0, -1))
    assert_read_whole(folder, *read(folder))


def test_phases_follow_the_instance_number_where_there_are_no_times(folder: dm.Folder) -> None:
    dm.edit(folder.files, TriggerTime=None, TemporalPositionIdentifier=None, NumberOfTemporalPositions=None)
    assert_read_whole(folder, *read(folder))


@pytest.mark.parametrize("value", ["0", "512.5"])
def test_trigger_time_that_never_changes_is_passed_over(folder: dm.Folder, value: str) -> None:
    dm.edit(folder.files, TriggerTime=value)
    assert_read_whole(folder, *read(folder))


def test_no_heart_rate_is_unknown_not_zero(folder: dm.Folder) -> None:
    dm.edit(folder.files, HeartRate=0, NominalInterval=0)
    assert read(folder)[0].heart_rate_bpm is None


def test_height_in_cm_is_taken_for_one(folder: dm.Folder) -> None:
    dm.edit(folder.files, PatientSize="181")
    assert read(folder)[0].height_cm == pytest.approx(181)


# Lost and repeated images


def test_file_cut_off_in_its_pixels_is_left_out(folder: dm.Folder) -> None:
    dm.cut(folder.file(1, 2), 0.7)
    stack, pixels = read(folder)
    assert_nearest_phase(folder, pixels, 1, 2)
    assert_told(stack, "cut off", "left out")


def test_file_cut_off_in_its_header_is_left_out(folder: dm.Folder) -> None:
    dm.cut_header(folder.file(2, 4))
    stack, pixels = read(folder)
    assert_nearest_phase(folder, pixels, 2, 4)
    assert_told(stack, "cut off", "left out")


def test_compressed_pixels_that_cannot_be_decoded_are_refused(folder: dm.Folder) -> None:
    file = folder.file(0, 3)
    dm.transcode(file, dm.COMPRESSED["JPEG-LS"])
    dm.edit(file, lambda image: setattr(image, "PixelData", encapsulate([bytes(500)])))
    with pytest.raises(InputError, match=rf"{file.name} cannot be decoded"):
        read(folder)


def test_missing_phase_takes_the_image_nearest_in_time(folder: dm.Folder) -> None:
    folder.file(3, 0).unlink()
    stack, pixels = read(folder)
    assert_nearest_phase(folder, pixels, 3, 0)
    assert_told(stack, "phase", "nearest")


def test_slice_with_too_few_phases_is_refused(folder: dm.Folder) -> None:
    for phase in range(4):
        folder.file(1, phase).unlink()
    with pytest.raises(InputError, match=r"2 of 6 .*at least half"):
        read(folder)


def test_copies_under_other_names_are_read_once(folder: dm.Folder) -> None:
    for file in folder.files[:7]:
        dm.copy_as(file, f"copy of {file.name}")
    stack, pixels = read(folder)
    assert_read_whole(folder, stack, pixels)
    assert_told(stack, "7 images", "twice", "once")


def test_copy_that_is_cut_off_does_not_hide_the_whole_file(folder: dm.Folder) -> None:
    dm.cut(dm.copy_as(folder.file(0, 0), "a_cut.dcm"), 0.5)
    assert_read_whole(folder, *read(folder))


def test_of_a_slice_that_was_taken_twice_the_last_counts(folder: dm.Folder) -> None:
    first = dm.replace(folder.study, cine=folder.cine // 2)
    dm.add_series(folder, "Cine SAX bSSFP", first, number=0)
    stack, pixels = read(folder)
    assert_read_whole(folder, stack, pixels)


def test_of_an_image_that_was_taken_twice_the_last_counts(folder: dm.Folder) -> None:
    again = dm.copy_as(folder.file(1, 1), "again.dcm")
    dm.edit(again, lambda image: setattr(image, "PixelData", bytes(len(image.PixelData))), InstanceNumber=99)
    dm.edit(again, SOPInstanceUID=generate_uid(), AcquisitionNumber=2)
    stack, pixels = read(folder)
    assert not pixels[:, :, 1, 1].any()
    assert_told(stack, "last")


# Slices


def test_slice_of_another_size_is_left_out(folder: dm.Folder) -> None:
    def crop(image: pydicom.Dataset) -> None:
        image.PixelData = np.ascontiguousarray(image.pixel_array[:-2]).tobytes()
        image.Rows -= 2

    dm.edit(folder.slice_files(0), crop)
    stack, pixels = read(folder)
    assert np.array_equal(pixels, folder.cine[:, :, 1:])
    assert stack.affine[:3, 3] == pytest.approx((folder.affine @ [0, 0, 1, 1])[:3], abs=1e-3)
    assert_told(stack, "left out")


def test_slice_of_another_direction_is_left_out(folder: dm.Folder) -> None:
    across = dm.turned(folder.study)
    dm.edit(folder.slice_files(3), ImageOrientationPatient=across.orientation())
    stack, pixels = read(folder)
    assert np.array_equal(pixels, folder.cine[:, :, :3])
    assert_told(stack, "left out")


def test_slice_far_off_the_others_is_left_out(folder: dm.Folder) -> None:
    normal = np.cross(*np.reshape(folder.study.orientation(), (2, 3)).astype(float))
    far = np.array(folder.study.position(3), dtype=float) + 250 * normal
    dm.edit(folder.slice_files(3), ImagePositionPatient=[f"{value:.4f}" for value in far])
    stack, pixels = read(folder)
    assert np.array_equal(pixels, folder.cine[:, :, :3])
    assert_told(stack, "left out")


def test_missing_slice_leaves_the_others_where_they_are(folder: dm.Folder) -> None:
    for file in folder.slice_files(1):
        file.unlink()
    stack, pixels = read(folder)
    assert np.array_equal(pixels, folder.cine[:, :, [0, 2, 3]])
    assert stack.affine[:3, 3] == pytest.approx(folder.affine[:3, 3], abs=1e-3)
    assert (stack.affine @ [0, 0, 2, 1]) == pytest.approx(folder.affine @ [0, 0, 3, 1], abs=1e-3)
    assert_told(stack, "slice")


def test_slices_at_unequal_distances_have_their_mean(folder: dm.Folder) -> None:
    normal = np.cross(*np.reshape(folder.study.orientation(), (2, 3)).astype(float))
    moved = np.array(folder.study.position(1), dtype=float) + 2 * normal
    dm.edit(folder.slice_files(1), ImagePositionPatient=[f"{value:.4f}" for value in moved])
    stack, pixels = read(folder)
    assert_read_whole(folder, stack, pixels)
    assert_told(stack, "distance")


def test_slice_thickness_is_not_the_distance_of_slices(folder: dm.Folder) -> None:
    dm.edit(folder.files, SliceThickness="3", SpacingBetweenSlices="77")
    assert_read_whole(folder, *read(folder))


# Geometry that is missing or cannot be


@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"])
def test_geometry_missing_in_an_image_is_that_of_its_slice(folder: dm.Folder, keyword: str) -> None:
    dm.edit(folder.file(2, 2), **{keyword: None})
    stack, pixels = read(folder)
    assert_read_whole(folder, stack, pixels)
    assert_told(stack, "without", "same slice")


@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"])
def test_geometry_missing_everywhere_is_refused(folder: dm.Folder, keyword: str) -> None:
    dm.edit(folder.files, **{keyword: None})
    with pytest.raises(InputError, match=rf"{keyword} is missing in .*IM\d+\.dcm"):
        read(folder)


@pytest.mark.parametrize(
    "spacing", [["1500", "1500"], ["-1.5", "1.5"], ["0", "0"], ["1e-9", "1"]], ids=["huge", "negative", "zero", "tiny"]
)
def test_impossible_pixel_spacing_is_refused(folder: dm.Folder, spacing: list[str]) -> None:
    dm.edit(folder.files, PixelSpacing=spacing)
    with pytest.raises(InputError, match=r"PixelSpacing must be .* got .*IM\d+\.dcm"):
        read(folder)


@pytest.mark.parametrize("spacing", [["nan", "nan"], ["1.5"], ["wide", "high"]])
def test_pixel_spacing_that_is_none_is_missing(folder: dm.Folder, spacing: list[str]) -> None:
    def change(image: pydicom.Dataset) -> None:
        image["PixelSpacing"] = pydicom.dataelem.RawDataElement(
            pydicom.tag.Tag("PixelSpacing"), "DS", 0, "\\".join(spacing).encode(), 0, False, True
        )

    dm.edit(folder.files, change)
    with pytest.raises(InputError, match=r"PixelSpacing is missing in .*IM\d+\.dcm"):
        read(folder)


@pytest.mark.parametrize(
    "orientation", [["0"] * 6, ["1", "0", "0", "1", "0", "0"], ["2", "0", "0", "0", "2", "0"]], ids=str
)
def test_orientation_that_is_none_is_refused(folder: dm.Folder, orientation: list[str]) -> None:
    dm.edit(folder.files, ImageOrientationPatient=orientation)
    with pytest.raises(InputError, match=r"ImageOrientationPatient must be two unit vectors .*IM\d+\.dcm"):
        read(folder)


def test_slices_on_top_of_each_other_are_no_stack(folder: dm.Folder) -> None:
    dm.edit(folder.files, ImagePositionPatient=folder.study.position(0))
    with pytest.raises(InputError, match="no short-axis cine"):
        read(folder)


def test_gigantic_slice_distance_is_refused(tmp_path: Path) -> None:
    affine = dm.phantom_study().affine.copy()
    affine[:3, 2] *= 30
    with pytest.raises(InputError, match="300 mm"):
        read(dm.write_folder(tmp_path, affine=affine))


# UIDs and strings


@pytest.mark.parametrize(
    "uid", ["1.2.0123.4", "1.2." + "9" * 70, "not a uid", ""], ids=["zeros", "long", "text", "none"]
)
def test_invalid_uids_are_taken_as_they_are(folder: dm.Folder, uid: str) -> None:
    dm.edit(folder.files, StudyInstanceUID=uid, SeriesInstanceUID=uid, FrameOfReferenceUID=uid)
    assert_read_whole(folder, *read(folder))


def test_images_of_one_uid_are_told_apart_by_place_and_time(folder: dm.Folder) -> None:
    dm.edit(folder.files, SOPInstanceUID="1.2.3")
    assert_read_whole(folder, *read(folder))


HOSTILE = [
    "<script>alert(1)</script>",
    "../../../etc/passwd",
    "=cmd|' /C calc'!A0",
    "a\x1b[2Jb",
    "日本 心臓",
    "x" * 5000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=["html", "path", "formula", "terminal", "unicode", "long"])
def test_hostile_description_does_no_harm(folder: dm.Folder, text: str) -> None:
    dm.edit(folder.files, SeriesDescription=text, ProtocolName=text[:64], PatientComments=text)
    stack, pixels = read(folder)
    assert_read_whole(folder, stack, pixels)
    told = stack.reason + "".join(repair.problem + repair.resolution for repair in stack.repairs)
    assert told.isprintable() and len(told) < 1000


def test_name_of_the_patient_reaches_neither_log_nor_error(folder: dm.Folder, caplog: pytest.LogCaptureFixture) -> None:
    dm.edit(folder.files, PatientName="Secret^Name", PatientID="SECRET-7", PixelSpacing=["-1", "1"])
    with caplog.at_level(logging.DEBUG), pytest.raises(InputError) as caught:
        read(folder)
    assert "secret" not in (caplog.text + str(caught.value)).lower()


# What else lies in the folder


def test_short_axis_is_found_among_other_series(folder: dm.Folder) -> None:
    study = folder.study
    dm.add_series(folder, "localizer", dm.turned(study, slices=3, phases=1), number=2)
    dm.add_series(folder, "CINE 4CH", dm.turned(study), number=3)
    dm.add_series(folder, "PSIR LGE SAX", dm.replace(study, cine=study.cine[..., :1]), number=4, InversionTime="300")
    dm.add_series(folder, "flow SAX", study, number=5, ImageType=["DERIVED", "PRIMARY", "P", "VELOCITY"])
    stack, pixels = read(folder)
    assert_read_whole(folder, stack, pixels)
    assert stack.reason


def test_series_overrules_the_choice(folder: dm.Folder) -> None:
    dm.add_series(folder, "CINE 4CH", dm.turned(folder.study, slices=3), number=3)
    assert read(folder, "3")[0].series_description == "CINE 4CH"


def test_unknown_series_is_refused_with_those_that_are_there(folder: dm.Folder) -> None:
    with pytest.raises(InputError, match=r"got '77'.*series 1 'Cine SAX bSSFP'"):
        read(folder, "77")


def test_two_studies_in_a_folder_are_not_mixed(folder: dm.Folder) -> None:
    other = dm.replace(folder.study, uid_seed="another patient", cine=folder.cine // 3)
    dm.add_series(folder, "Cine SAX bSSFP", other, number=1)
    dm.edit(folder.path.glob("S001/*"), StudyInstanceUID=generate_uid(), FrameOfReferenceUID=generate_uid())
    with pytest.raises(InputError, match="2 studies"):
        read(folder)


def test_color_pictures_beside_the_cine_are_passed_over(folder: dm.Folder) -> None:
    picture = dm.copy_as(folder.file(0, 0), "capture.dcm")
    dm.edit(
        picture,
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=bytes(3 * 48 * 40),
        SeriesInstanceUID=generate_uid(),
        SOPInstanceUID=generate_uid(),
        SeriesNumber=99,
    )
    assert_read_whole(folder, *read(folder))


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
        read(folder)


def test_encrypted_files_are_refused(folder: dm.Folder) -> None:
    for file in folder.files:
        dm.encrypt(file)
    with pytest.raises(InputError, match=r"IM\d+\.dcm.*encrypted"):
        read(folder)


def test_folder_of_cut_files_is_refused(folder: dm.Folder) -> None:
    for file in folder.files:
        dm.cut(file, 0.6)
    with pytest.raises(InputError, match=r"IM\d+\.dcm|cut off"):
        read(folder)


def test_enhanced_object_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    folder = dm.write_folder(tmp_path, "enhanced")
    dm.cut(folder.files[0], 0.8)
    with pytest.raises(InputError, match=r"IM0001\.dcm.*cut off|cut off.*IM0001\.dcm"):
        read(folder)


def test_pixels_in_an_encoding_of_films_are_refused(folder: dm.Folder) -> None:
    def change(image: pydicom.Dataset) -> None:
        image.file_meta.TransferSyntaxUID = MPEG2MPML
        image.PixelData = encapsulate([bytes(500)])

    dm.edit(folder.files, change)
    with pytest.raises(InputError, match=r"IM\d+\.dcm cannot be decoded"):
        read(folder)


def test_ten_thousand_other_files_do_not_hide_the_cine(folder: dm.Folder) -> None:
    (folder.path / "many").mkdir()
    for number in range(10_000):
        (folder.path / "many" / f"{number}.txt").touch()
    assert_read_whole(folder, *read(folder))


# The scans of Sunnybrook, as a scanner wrote them


@pytest.fixture
def sunnybrook(real_data_dir: Path, tmp_path: Path) -> Path:
    """Three slices of a patient, in a folder that may be changed."""
    source = real_data_dir / "sunnybrook" / "dicoms" / "SCD0000101"
    for number in range(81, 141):
        (tmp_path / f"{number}.dcm").write_bytes((source / f"{number}.dcm").read_bytes())
    return tmp_path


def read_folder(path: Path) -> tuple[CineStack, Pixels]:
    stack = read_cine(path)
    return stack, load_pixels(stack)


@pytest.mark.realdata
def test_real_slices_are_ordered_by_position_and_time(sunnybrook: Path) -> None:
    stack, pixels = read_folder(sunnybrook)
    images = {path.name: pydicom.dcmread(path) for path in sunnybrook.iterdir()}
    assert stack.shape == (256, 256, 3, 20)
    for z, t in ((0, 0), (1, 7), (2, 19)):
        image = images[Path(stack.frames[z][t].path).name]
        assert np.array_equal(pixels[:, :, z, t].T, image.pixel_array)
        origin = stack.affine @ [0, 0, z, 1] * [-1, -1, 1, 1]
        assert origin[:3] == pytest.approx(np.array(image.ImagePositionPatient, dtype=float), abs=0.05)


@pytest.mark.realdata
@pytest.mark.parametrize("syntax", dm.COMPRESSED)
def test_real_scan_is_the_same_in_every_encoding(sunnybrook: Path, syntax: str) -> None:
    _, before = read_folder(sunnybrook)
    for file in sunnybrook.iterdir():
        dm.transcode(file, dm.COMPRESSED[syntax])
    assert np.array_equal(read_folder(sunnybrook)[1], before)


@pytest.mark.realdata
def test_real_scan_is_the_same_shuffled_and_without_extension(sunnybrook: Path) -> None:
    stack, before = read_folder(sunnybrook)
    files = tuple(sorted(sunnybrook.iterdir()))
    dm.scatter(dm.Folder(sunnybrook, dm.phantom_study(), files), seed=3)
    shuffled, pixels = read_folder(sunnybrook)
    assert np.array_equal(pixels, before)
    assert np.array_equal(shuffled.affine, stack.affine)


@pytest.mark.realdata
def test_real_scan_with_a_lost_and_a_damaged_image_is_repaired(sunnybrook: Path) -> None:
    _, before = read_folder(sunnybrook)
    (sunnybrook / "105.dcm").unlink()
    dm.cut(sunnybrook / "130.dcm", 0.5)
    stack, pixels = read_folder(sunnybrook)
    changed = {(int(z), int(t)) for z, t in np.argwhere((pixels != before).any(axis=(0, 1)))}
    assert len(changed) == 2
    assert_told(stack, "cut off", "left out")

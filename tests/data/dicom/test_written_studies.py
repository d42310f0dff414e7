"""Studies however they are written: each encoding, order, clock, name and neighbor gives the same cine."""

from __future__ import annotations

import logging
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from pipeline.data.dicom import load_pixels, read_cine
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


# Whole studies, however they are written


@pytest.mark.parametrize("style", ["classic", "series_a_slice", "enhanced"])
@pytest.mark.parametrize("slices_backwards", [False, True])
def test_every_style_and_direction_is_read_alike(tmp_path: Path, style: str, slices_backwards: bool) -> None:
    folder = dm.write_folder(tmp_path, style, slices_backwards)
    stack, pixels = dm.read(folder)
    dm.assert_read_whole(folder, stack, pixels)
    assert stack.repairs == ()


def test_times_and_patient_are_read(tmp_path: Path) -> None:
    stack, _ = dm.read(dm.write_folder(tmp_path, height_cm=181.0, weight_kg=64.0))
    assert stack.phase_times_ms == pytest.approx([0, 150, 300, 450, 600, 750])
    assert stack.heart_rate_bpm == pytest.approx(67, abs=0.5)
    assert (stack.height_cm, stack.weight_kg) == (pytest.approx(181), pytest.approx(64))


@pytest.mark.parametrize("syntax", dm.COMPRESSED)
def test_compressed_pixels_are_decoded(folder: dm.Folder, syntax: str) -> None:
    for file in folder.files:
        dm.transcode(file, dm.COMPRESSED[syntax])
    dm.assert_read_whole(folder, *dm.read(folder))


@pytest.mark.parametrize("syntax", dm.COMPRESSED)
def test_compressed_frames_are_decoded(tmp_path: Path, syntax: str) -> None:
    folder = dm.write_folder(tmp_path, "enhanced")
    dm.transcode(folder.files[0], dm.COMPRESSED[syntax])
    dm.assert_read_whole(folder, *dm.read(folder))


@pytest.mark.parametrize("rewrite", [dm.deflate, dm.to_big_endian, dm.without_preamble])
def test_other_encodings_are_read(folder: dm.Folder, rewrite: Callable[[Path], None]) -> None:
    for file in folder.files:
        rewrite(file)
    dm.assert_read_whole(folder, *dm.read(folder))


def test_mixed_encodings_are_read(folder: dm.Folder) -> None:
    for z, syntax in enumerate(dm.COMPRESSED.values()):
        for file in folder.slice_files(z)[1:]:
            dm.transcode(file, syntax)
    dm.assert_read_whole(folder, *dm.read(folder))


def test_nested_shuffled_files_without_extension_among_junk_are_read(folder: dm.Folder) -> None:
    dm.scatter(folder)
    dm.add_junk(folder.path / "DIR0")
    dm.assert_read_whole(folder, *dm.read(folder))


def test_paths_may_come_as_a_list_in_any_order(folder: dm.Folder) -> None:
    paths = [str(file) for file in folder.files]
    random.Random(1).shuffle(paths)
    stack = read_cine(paths)
    dm.assert_read_whole(folder, stack, load_pixels(stack))


def test_names_of_any_script_and_sign_are_read(folder: dm.Folder) -> None:
    elsewhere = folder.path.rename(folder.path.with_name("Ä ö 心臓 'quote' $x;"))
    assert np.array_equal(load_pixels(read_cine(elsewhere)), folder.cine)


def test_links_to_nowhere_and_pipes_are_passed_over(folder: dm.Folder) -> None:
    (folder.path / "gone.dcm").symlink_to(folder.path / "nowhere.dcm")
    if hasattr(os, "mkfifo"):  # Windows has none
        os.mkfifo(folder.path / "pipe")
    dm.assert_read_whole(folder, *dm.read(folder))


def test_enhanced_objects_of_a_slice_each_are_one_stack(tmp_path: Path) -> None:
    study = dm.phantom_study()
    for z in range(dm.SLICES):
        affine = study.affine.copy()
        affine[:3, 3] += z * affine[:3, 2]
        part = dm.replace(study, cine=study.cine[:, :, z : z + 1], affine=affine, uid_seed=f"part {z}")
        files = dm.write_cine_dicom(tmp_path / str(z), part, "enhanced")
        dm.edit(files, StudyInstanceUID=study.uid("study"), SeriesNumber=z + 1)
    stack = read_cine(tmp_path)
    assert np.array_equal(load_pixels(stack), study.cine)
    assert stack.affine == pytest.approx(study.affine, abs=1e-3)


def test_loop_of_links_ends(folder: dm.Folder) -> None:
    (folder.path / "again").symlink_to(folder.path, target_is_directory=True)
    dm.assert_read_whole(folder, *dm.read(folder))


def test_instance_numbers_say_nothing_of_places(folder: dm.Folder) -> None:
    numbers = list(range(1, len(folder.files) + 1))
    random.Random(2).shuffle(numbers)
    dm.each(folder.files, "InstanceNumber", numbers)
    dm.assert_read_whole(folder, *dm.read(folder))


def test_rescale_slope_and_intercept_of_each_image_count(folder: dm.Folder) -> None:
    dm.edit(folder.slice_files(2), RescaleSlope="2", RescaleIntercept="-7")
    _, pixels = dm.read(folder)
    expected = folder.cine.astype(int)
    expected[:, :, 2] = 2 * expected[:, :, 2] - 7
    assert np.array_equal(pixels, expected)


def test_signed_pixels_are_read(folder: dm.Folder) -> None:
    def change(dataset: pydicom.Dataset) -> None:
        values = np.frombuffer(dataset.PixelData, "<u2").astype("<i2") - 100
        dataset.PixelData, dataset.PixelRepresentation = values.tobytes(), 1

    dm.edit(folder.files, change)
    assert np.array_equal(dm.read(folder)[1], folder.cine.astype(int) - 100)


# Times


def test_phases_follow_the_temporal_position_where_there_is_no_trigger_time(folder: dm.Folder) -> None:
    dm.edit(folder.files, TriggerTime=None)
    dm.each(folder.files, "InstanceNumber", range(len(folder.files), 0, -1))
    dm.assert_read_whole(folder, *dm.read(folder))


def test_phases_follow_the_instance_number_where_there_are_no_times(folder: dm.Folder) -> None:
    dm.edit(folder.files, TriggerTime=None, TemporalPositionIdentifier=None, NumberOfTemporalPositions=None)
    dm.assert_read_whole(folder, *dm.read(folder))


@pytest.mark.parametrize("value", ["0", "512.5"])
def test_trigger_time_that_never_changes_is_passed_over(folder: dm.Folder, value: str) -> None:
    dm.edit(folder.files, TriggerTime=value)
    dm.assert_read_whole(folder, *dm.read(folder))


def test_times_before_the_r_wave_are_kept(folder: dm.Folder) -> None:
    dm.each(folder.files, "TriggerTime", [str(150 * phase - 50) for _ in range(4) for phase in range(6)])
    stack, pixels = dm.read(folder)
    dm.assert_read_whole(folder, stack, pixels)
    assert stack.phase_times_ms == pytest.approx([-50, 100, 250, 400, 550, 700])


def test_heart_rate_may_differ_from_slice_to_slice(folder: dm.Folder) -> None:
    dm.each(folder.files, "TriggerTime", [f"{phase * (130 + 10 * z)}" for z in range(4) for phase in range(6)])
    dm.assert_read_whole(folder, *dm.read(folder))


@pytest.mark.parametrize("value", [None, "nan"])
def test_time_missing_in_an_image_passes_the_order_on_to_the_next_clock(folder: dm.Folder, value: str | None) -> None:
    dm.edit(folder.file(1, 3), lambda image: dm.set_raw(image, "TriggerTime", value or ""))
    dm.assert_read_whole(folder, *dm.read(folder))


def test_no_heart_rate_is_unknown_not_zero(folder: dm.Folder) -> None:
    dm.edit(folder.files, HeartRate=0, NominalInterval=0)
    assert dm.read(folder)[0].heart_rate_bpm is None


def test_height_in_cm_is_taken_for_one(folder: dm.Folder) -> None:
    dm.edit(folder.files, PatientSize="181")
    assert dm.read(folder)[0].height_cm == pytest.approx(181)


# UIDs and strings


@pytest.mark.parametrize(
    "uid", ["1.2.0123.4", "1.2." + "9" * 70, "not a uid", ""], ids=["zeros", "long", "text", "none"]
)
def test_invalid_uids_are_taken_as_they_are(folder: dm.Folder, uid: str) -> None:
    dm.edit(folder.files, StudyInstanceUID=uid, SeriesInstanceUID=uid, FrameOfReferenceUID=uid)
    dm.assert_read_whole(folder, *dm.read(folder))


def test_images_of_one_uid_are_told_apart_by_place_and_time(folder: dm.Folder) -> None:
    dm.edit(folder.files, SOPInstanceUID="1.2.3")
    dm.assert_read_whole(folder, *dm.read(folder))


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
    stack, pixels = dm.read(folder)
    dm.assert_read_whole(folder, stack, pixels)
    told = stack.reason + "".join(repair.problem + repair.resolution for repair in stack.repairs)
    assert told.isprintable() and len(told) < 1000


def test_name_of_the_patient_reaches_neither_log_nor_error(folder: dm.Folder, caplog: pytest.LogCaptureFixture) -> None:
    dm.edit(folder.files, PatientName="Secret^Name", PatientID="SECRET-7", PixelSpacing=["-1", "1"])
    with caplog.at_level(logging.DEBUG), pytest.raises(InputError) as caught:
        dm.read(folder)
    assert "secret" not in (caplog.text + str(caught.value)).lower()


# What else lies in the folder


def test_short_axis_is_found_among_other_series(folder: dm.Folder) -> None:
    study = folder.study
    dm.add_series(folder, "localizer", dm.turned(study, slices=3, phases=1), number=2)
    dm.add_series(folder, "CINE 4CH", dm.turned(study), number=3)
    dm.add_series(folder, "PSIR LGE SAX", dm.replace(study, cine=study.cine[..., :1]), number=4, InversionTime="300")
    dm.add_series(folder, "flow SAX", study, number=5, ImageType=["DERIVED", "PRIMARY", "P", "VELOCITY"])
    stack, pixels = dm.read(folder)
    dm.assert_read_whole(folder, stack, pixels)
    assert stack.reason


def test_series_overrules_the_choice(folder: dm.Folder) -> None:
    dm.add_series(folder, "CINE 4CH", dm.turned(folder.study, slices=3), number=3)
    assert dm.read(folder, "3")[0].series_description == "CINE 4CH"


def test_unknown_series_is_refused_with_those_that_are_there(folder: dm.Folder) -> None:
    with pytest.raises(InputError, match=r"got '77'.*series 1 'Cine SAX bSSFP'"):
        dm.read(folder, "77")


def test_two_studies_in_a_folder_are_not_mixed(folder: dm.Folder) -> None:
    other = dm.replace(folder.study, uid_seed="another patient", cine=folder.cine // 3)
    dm.add_series(folder, "Cine SAX bSSFP", other, number=1)
    dm.edit(folder.path.glob("S001/*"), StudyInstanceUID=generate_uid(), FrameOfReferenceUID=generate_uid())
    with pytest.raises(InputError, match="2 studies"):
        dm.read(folder)


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
    dm.assert_read_whole(folder, *dm.read(folder))


# The scans of Sunnybrook, as a scanner wrote them


@pytest.fixture
def sunnybrook(real_data_dir: Path, tmp_path: Path) -> Path:
    """Three slices of a patient, in a folder that may be changed."""
    source = real_data_dir / "sunnybrook" / "dicoms" / "SCD0000101"
    for number in range(81, 141):
        (tmp_path / f"{number}.dcm").write_bytes((source / f"{number}.dcm").read_bytes())
    return tmp_path


def read_folder(path: Path) -> tuple[dm.CineStack, dm.Pixels]:
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
    dm.assert_told(stack, "cut off", "left out")

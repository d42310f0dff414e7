"""The rules for broken studies, one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.data.dicom import rules
from pipeline.data.dicom.frame import Frame
from pipeline.errors import InputError

Make = Callable[..., Frame]
MakeMany = Callable[..., list[Frame]]


def told(repairs: list[Any]) -> list[tuple[str, str]]:
    return [(repair.problem, repair.resolution) for repair in repairs]


def test_damaged_files_are_left_out_without_their_names(make_frame: Make) -> None:
    good, bad = make_frame(0), make_frame(1, damage="it is cut off", path="secret folder/7.dcm")
    kept, repairs = rules.leave_out_damaged([good, bad])
    assert kept == [good]
    assert told(repairs) == [("1 file cannot be read: it is cut off", "left out")]


def test_whole_files_need_no_repair(make_frame: Make) -> None:
    frames = [make_frame(0), make_frame(1)]
    assert rules.leave_out_damaged(frames) == (frames, [])
    assert rules.read_copies_once(frames) == (frames, [])
    assert rules.complete_geometry(frames) == (frames, [])


def test_copy_is_read_once(make_frame: Make) -> None:
    first, copy = make_frame(path="a.dcm"), make_frame(path="b.dcm")
    kept, repairs = rules.read_copies_once([first, copy])
    assert kept == [first]
    assert told(repairs) == [("1 image in the folder twice, under another name", "read once")]


def test_of_two_copies_the_whole_one_is_read(make_frame: Make) -> None:
    cut, whole = make_frame(path="a.dcm", damage="it is cut off"), make_frame(path="b.dcm")
    assert rules.read_copies_once([cut, whole])[0] == [whole]


def test_images_of_one_uid_at_different_places_are_no_copies(make_frame: Make) -> None:
    frames = [make_frame(z, sop_instance_uid="1.3") for z in range(2)]
    assert rules.read_copies_once(frames) == (frames, [])


@pytest.mark.parametrize("attribute", ["position", "orientation", "pixel_spacing"])
def test_missing_geometry_is_that_of_the_same_slice(make_frame: Make, attribute: str) -> None:
    known, other = make_frame(1, phase=0), make_frame(0)
    without = make_frame(1, phase=1, **{attribute: None})
    kept, repairs = rules.complete_geometry([other, known, without])
    assert getattr(kept[2], attribute) == getattr(known, attribute)
    assert told(repairs)[0][1] == "taken from another image of the same slice"


def test_slice_of_an_image_without_orientation_is_known_by_its_position(make_frame: Make) -> None:
    known = make_frame(1, slice_location=None)
    without = make_frame(1, phase=1, slice_location=None, orientation=None)
    assert rules.complete_geometry([known, without])[0][1].orientation == known.orientation


def test_image_whose_geometry_no_slice_states_is_left_out(make_frame: Make) -> None:
    known, without = make_frame(0), make_frame(1, position=None)
    kept, repairs = rules.complete_geometry([known, without])
    assert kept == [known]
    assert told(repairs) == [("1 image without spacing, position or orientation", "left out")]


def test_geometry_of_another_size_is_not_taken(make_frame: Make) -> None:
    known, without = make_frame(0, rows=99), make_frame(0, phase=1, position=None)
    assert rules.complete_geometry([known, without])[0] == [known]


def test_geometry_that_no_image_states_is_told_with_a_file(make_frame: Make) -> None:
    frames = [make_frame(0, position=None, path="a.dcm"), make_frame(1, position=None)]
    assert rules.complete_geometry(frames) == (frames, [])
    assert rules.missing_geometry(frames).startswith("ImagePositionPatient is missing in a.dcm and 1 more")


@pytest.mark.parametrize("spacing", [(-1.5, 1.5), (0.0, 1.0), (1.0, 1000.0)])
def test_spacing_that_cannot_be_is_told_with_a_file(make_frame: Make, spacing: tuple[float, float]) -> None:
    problem = rules.impossible_geometry([make_frame(), make_frame(path="a.dcm", pixel_spacing=spacing)])
    assert problem.startswith("PixelSpacing must be 0.1 to 20 mm, got") and problem.endswith("in a.dcm")


@pytest.mark.parametrize("orientation", [(0.0,) * 6, (1.0, 0, 0, 1, 0, 0), (2.0, 0, 0, 0, 2, 0)])
def test_orientation_that_cannot_be_is_told_with_a_file(make_frame: Make, orientation: tuple[float, ...]) -> None:
    problem = rules.impossible_geometry([make_frame(path="a.dcm", orientation=orientation)])
    assert problem.startswith("ImageOrientationPatient must be two unit vectors") and problem.endswith("a.dcm")


def test_gigantic_image_is_told_with_a_file(make_frame: Make) -> None:
    assert rules.impossible_geometry([make_frame(path="a.dcm", rows=65535)]).endswith("got 65535 x 8 in a.dcm")


def test_possible_geometry_is_not_told(make_frames: MakeMany) -> None:
    assert rules.impossible_geometry(make_frames()) == rules.missing_geometry(make_frames()) == ""


def test_most_complete_series_of_a_slice_counts(make_frames: MakeMany) -> None:
    broken_off = make_frames(1, 4, series_uid="1.9", series_number=9)
    whole = make_frames(1, 6, series_uid="1.2", series_number=5)
    assert rules.choose_acquisition([*broken_off, *whole]) == whole


def test_of_equal_series_of_a_slice_the_last_counts(make_frames: MakeMany) -> None:
    first = make_frames(1, 6, series_uid="1.2", series_number=5)
    last = make_frames(1, 6, series_uid="1.9", series_number=9)
    assert rules.choose_acquisition([*last, *first]) == last


def test_of_beats_acquired_in_one_series_the_last_counts(make_frames: MakeMany) -> None:
    first, last = (make_frames(1, 6, acquisition_number=number) for number in (1.0, 2.0))
    assert rules.choose_acquisition([*last, *first]) == last


@pytest.mark.parametrize("trigger_time", [None, "one a phase"])
def test_acquisition_numbers_of_single_phases_are_no_repetition(make_frame: Make, trigger_time: str | None) -> None:
    changes = {} if trigger_time else {"trigger_time": None}
    numbers = [1.0] * 5 + [2.0] * 5
    frames = [make_frame(0, t, 10, acquisition_number=number, **changes) for t, number in enumerate(numbers)]
    assert rules.choose_acquisition(frames) == frames


def test_half_is_enough() -> None:
    rules.require_half(3, 6, "phases", "a.dcm")
    with pytest.raises(InputError, match=r"a\.dcm: 2 of 6 phases are too few .*at least half"):
        rules.require_half(2, 6, "phases", "a.dcm")


@pytest.mark.parametrize("distance_mm", [0.0, -8.0, 300.0, float("nan")])
def test_slice_distance_that_cannot_be_is_refused(distance_mm: float) -> None:
    rules.require_slice_distance(8.0, "study")
    with pytest.raises(InputError, match=r"study: slices must be 0\.3 to 60 mm apart, got"):
        rules.require_slice_distance(distance_mm, "study")

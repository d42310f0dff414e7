"""What kind of images a group holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.data.dicom.frame import Frame
from pipeline.data.dicom.kinds import classify, tilt_deg
from pipeline.data.dicom.series import Group

Make = Callable[..., Frame]
MakeMany = Callable[..., list[Frame]]

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def kind_of(frames: list[Frame]) -> str:
    return classify(Group(tuple(frames))).name


def test_parallel_cine_slices_along_the_heart_are_the_short_axis(make_frames: MakeMany) -> None:
    kind = classify(Group(tuple(make_frames())))
    assert (kind.name, kind.cine, kind.short_axis) == ("short-axis cine", True, True)
    assert kind.reason == "4 parallel slices of 6 phases, 6° from the usual short axis"


def test_tilt_does_not_depend_on_the_sense_of_the_normal(make_frame: Make) -> None:
    frame = make_frame()
    backwards = make_frame(orientation=(*frame.orientation[3:], *frame.orientation[:3]))  # type: ignore[index]
    assert tilt_deg(Group((backwards,))) == pytest.approx(tilt_deg(Group((frame,))))


@pytest.mark.parametrize("name", ["cine_sax_10", "sa", "CINE SHORT AXIS", "kurze achse", "Short-Axis stack 2 chamber"])
def test_name_of_the_short_axis_counts_whatever_the_direction(make_frames: MakeMany, name: str) -> None:
    frames = make_frames(names=name.lower())
    across = make_frames(names=name.lower(), orientation=AXIAL)
    assert kind_of(frames) == kind_of(across) == "short-axis cine"


@pytest.mark.parametrize("name", ["cine_2ch", "4 chamber", "lax", "cine la", "lvot", "cine tra", "axial", "3-ch_1"])
def test_name_of_another_view_counts(make_frames: MakeMany, name: str) -> None:
    assert kind_of(make_frames(names=name)) == "cine of another view"


@pytest.mark.parametrize("name", ["trufi 2 cine", "salomon", "flash", "tfi_plaster", "laser"])
def test_parts_of_words_do_not_count(make_frames: MakeMany, name: str) -> None:
    assert kind_of(make_frames(names=name)) == "short-axis cine"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("psir sax", "late enhancement"), ("flow ao", "flow"), ("tagging", "tagging"), ("perf rest", "perfusion"),
     ("molli", "mapping"), ("t1 map sax", "mapping")],
)  # fmt: skip
def test_names_of_other_series_count(make_frames: MakeMany, name: str, kind: str) -> None:
    assert kind_of(make_frames(names=name)) == kind


@pytest.mark.parametrize(
    ("slices", "phases", "changes", "kind"),
    [
        (1, 1, {}, "scout"),
        (4, 1, {}, "stills"),
        (4, 1, {"names": "localizer"}, "scout"),
        (4, 1, {"inversion_time": 300.0}, "late enhancement"),
        (1, 6, {}, "cine of a slice"),
        (2, 6, {}, "cine of few slices"),
        (4, 6, {"velocity": True}, "flow"),
        (4, 6, {"orientation": AXIAL}, "cine stack"),
        (4, 6, {"samples": 3}, "color picture"),
        (4, 6, {"modality": "CT"}, "CT"),
        (4, 6, {"modality": ""}, "no modality"),
        (4, 6, {"modality": "\x1b[2J"}, "?[2J"),
    ],
)
def test_kinds(make_frames: MakeMany, slices: int, phases: int, changes: dict[str, Any], kind: str) -> None:
    frames = make_frames(slices, phases, **changes)
    assert kind_of(frames) == kind


def test_group_without_grid_says_why(make_frames: MakeMany) -> None:
    kind = classify(Group(tuple(make_frames()), problem="PixelSpacing is missing in a.dcm"))
    assert (kind.name, kind.reason) == ("no grid", "PixelSpacing is missing in a.dcm")


@pytest.mark.parametrize("attribute", ["echo_time", "inversion_time"])
def test_echo_and_inversion_times_tell_a_mapping(make_frame: Make, attribute: str) -> None:
    frames = [make_frame(z, t, **{attribute: 2.0 + t}) for z in range(3) for t in range(6)]
    assert kind_of(frames) == "mapping"


def test_images_of_many_beats_are_a_perfusion(make_frame: Make) -> None:
    frames = [make_frame(z, t, trigger_time=100.0, acquisition_time=2.5 * t) for z in range(3) for t in range(6)]
    assert kind_of(frames) == "perfusion"


@pytest.mark.parametrize("seconds", [None, 0.1])
def test_images_of_one_beat_are_none(make_frame: Make, seconds: float | None) -> None:
    frames = [
        make_frame(z, t, trigger_time=None, acquisition_time=None if seconds is None else seconds * t)
        for z in range(3)
        for t in range(6)
    ]
    assert kind_of(frames) == "short-axis cine"

"""The short-axis cine among what a study holds, and why it is that."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.data.dicom.choice import Choice, candidates, choose
from pipeline.data.dicom.frame import Frame
from pipeline.errors import InputError

MakeMany = Callable[..., list[Frame]]

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def pick(frames: list[Frame], series: str = "") -> Choice:
    return choose(candidates(frames), series, "study")


def chosen_series(frames: list[Frame], series: str = "") -> int | None:
    return pick(frames, series).candidate.group.first.header.series_number


def series(make_frames: MakeMany, number: int, slices: int = 4, phases: int = 6, **changes: object) -> list[Frame]:
    return make_frames(slices, phases, series_number=number, series_uid=f"1.{number}", **changes)


def test_reason_is_told(make_frames: MakeMany) -> None:
    choice = pick(make_frames())
    assert choice.reason.startswith("the only short-axis cine: 4 parallel slices of 6 phases")
    assert choice.repairs == ()


def test_other_kinds_are_passed_over(make_frames: MakeMany) -> None:
    frames = [
        *series(make_frames, 1, 3, 1, orientation=AXIAL),
        *series(make_frames, 2, 1, 6, names="cine 4ch"),
        *series(make_frames, 3),
        *series(make_frames, 4, 8, 1, inversion_time=300.0),
        *series(make_frames, 5, velocity=True),
    ]
    assert chosen_series(frames) == 3


def test_more_slices_win(make_frames: MakeMany) -> None:
    frames = [*series(make_frames, 1, 9), *series(make_frames, 2, 6)]
    assert chosen_series(frames) == 1
    assert pick(frames).reason.startswith("the best of 2 short-axis cines")


def test_of_equal_stacks_the_last_wins(make_frames: MakeMany) -> None:
    frames = [*series(make_frames, 1, acquisition_time=50.0), *series(make_frames, 2, acquisition_time=40.0)]
    assert chosen_series(frames) == 1
    assert chosen_series([*series(make_frames, 1), *series(make_frames, 2)]) == 2


def test_stack_that_lies_otherwise_is_doubted(make_frames: MakeMany) -> None:
    choice = pick(series(make_frames, 1, orientation=AXIAL))
    assert [repair.problem[:40] for repair in choice.repairs] == ["the slices do not lie like a short axis:"]


def test_usual_stack_is_preferred_to_a_larger_one_that_lies_otherwise(make_frames: MakeMany) -> None:
    assert chosen_series([*series(make_frames, 1, 12, orientation=AXIAL), *series(make_frames, 2)]) == 2


def test_series_a_slice_are_one_stack(make_frames: MakeMany) -> None:
    frames = [frame for z in range(4) for frame in series(make_frames, 10 + z, z + 1)[-6:]]
    assert len(pick(frames).candidate.group.slices) == 4


def test_slices_of_another_view_are_not_merged(make_frames: MakeMany) -> None:
    frames = [frame for z in range(4) for frame in series(make_frames, 10 + z, z + 1, names="2ch")[-6:]]
    with pytest.raises(InputError, match="no short-axis cine"):
        pick(frames)


def test_no_cine_is_refused_with_what_there_is(make_frames: MakeMany) -> None:
    frames = series(make_frames, 3, 4, 1, series_description="LGE\x1b[2J", names="lge")
    with pytest.raises(
        InputError, match=r"study holds no short-axis cine: series 3 'LGE\?\[2J' \(late enhancement: .*--series"
    ):
        pick(frames)


def test_long_listing_is_cut(make_frames: MakeMany) -> None:
    frames = [frame for number in range(30) for frame in series(make_frames, number, 1, 1)]
    with pytest.raises(InputError, match="and 10 more"):
        pick(frames)


@pytest.mark.parametrize("name", ["4", "1.4"])
def test_series_overrules_by_number_or_uid(make_frames: MakeMany, name: str) -> None:
    frames = [*series(make_frames, 3), *series(make_frames, 4, 1, 1)]
    assert chosen_series(frames, name) == 4
    assert pick(frames, name).reason.startswith("chosen by its series (scout:")


def test_of_a_series_in_parts_the_largest_is_taken(make_frames: MakeMany) -> None:
    frames = [*series(make_frames, 4, 1, 1, rows=5), *series(make_frames, 4, 3)]
    assert len(pick(frames, "4").candidate.group.frames) == 18


def test_unknown_series_is_refused(make_frames: MakeMany) -> None:
    with pytest.raises(InputError, match=r"series must be .* of study, got '8'; it has series 5 'cine'"):
        pick(make_frames(), "8")


def test_series_without_a_grid_is_refused(make_frames: MakeMany) -> None:
    with pytest.raises(
        InputError, match=r"series 5 'cine' of study cannot be read: PixelSpacing is missing in s0p0\.dcm"
    ):
        pick(make_frames(pixel_spacing=None), "5")


@pytest.mark.parametrize(("changes", "kind"), [({"modality": "CT"}, "CT"), ({"samples": 3}, "color picture")])
def test_series_of_other_images_is_refused(make_frames: MakeMany, changes: dict[str, object], kind: str) -> None:
    with pytest.raises(InputError, match=rf"must be MR images, got {kind}: s0p0\.dcm"):
        pick(make_frames(**changes), "5")

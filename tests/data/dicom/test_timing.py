"""The order of the heart beat, and phases that a slice lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.data.dicom.frame import Frame
from pipeline.data.dicom.timing import CLOCKS, choose_clock, even_phases, order_phases, phase_times_ms
from pipeline.errors import InputError

Make = Callable[..., Frame]

TRIGGER, TEMPORAL, DELAY, ACQUISITION, INSTANCE = CLOCKS


def stack(make_frame: Make, slices: int = 3, phases: int = 6, **changes: Any) -> list[list[Frame]]:
    return [[make_frame(z, t, phases, **changes) for t in range(phases)] for z in range(slices)]


@pytest.mark.parametrize(
    ("changes", "clock"),
    [
        ({}, TRIGGER),
        ({"trigger_time": None}, TEMPORAL),
        ({"trigger_time": 500.0}, TEMPORAL),
        ({"trigger_time": None, "temporal_position": None}, INSTANCE),
        ({"trigger_time": None, "temporal_position": 1.0, "instance_number": None}, INSTANCE),
    ],
)
def test_first_clock_that_tells_all_apart_counts(make_frame: Make, changes: dict[str, Any], clock: object) -> None:
    assert choose_clock(stack(make_frame, **changes)) is clock


def test_trigger_delay_and_acquisition_time_are_clocks_too(make_frame: Make) -> None:
    changes = {"trigger_time": None, "temporal_position": None}
    delays = [[make_frame(0, t, trigger_delay=30.0 * t, acquisition_time=t, **changes) for t in range(6)]]
    times = [[make_frame(0, t, acquisition_time=0.1 * t, **changes) for t in range(6)]]
    assert (choose_clock(delays), choose_clock(times)) == (DELAY, ACQUISITION)


def test_clock_that_one_slice_lacks_does_not_count(make_frame: Make) -> None:
    slices = [*stack(make_frame), [make_frame(3, t, trigger_time=None) for t in range(6)]]
    assert choose_clock(slices) is TEMPORAL


def test_phases_are_sorted_by_time(make_frame: Make) -> None:
    (slices, repairs) = order_phases([frames[::-1] for frames in stack(make_frame)], TRIGGER)
    assert [frame.temporal_position for frame in slices[1]] == [1, 2, 3, 4, 5, 6]
    assert repairs == []


def test_of_images_of_one_time_the_last_counts(make_frame: Make) -> None:
    again = make_frame(0, 2, acquisition_number=2.0, path="again.dcm")
    slices, repairs = order_phases([[*stack(make_frame)[0], again]], TRIGGER)
    assert len(slices[0]) == 6
    assert slices[0][2].path == "again.dcm"
    assert [repair.resolution for repair in repairs] == ["the last acquired counts"]


@pytest.mark.parametrize("temporal_position", [None, "counted"])
def test_times_rounded_to_the_same_are_no_repetition(make_frame: Make, temporal_position: str | None) -> None:
    slices = stack(make_frame, **({} if temporal_position else {"temporal_position": None}))
    slices[0][2] = make_frame(0, 2, trigger_time=150.0, temporal_position=3.0 if temporal_position else None)
    ordered, repairs = order_phases(slices, TRIGGER)
    assert [frame.instance_number for frame in ordered[0]] == [1, 2, 3, 4, 5, 6]
    assert repairs == []


def test_images_without_a_time_stay(make_frame: Make) -> None:
    frames = [make_frame(0, t, instance_number=None) for t in range(3)]
    assert len(order_phases([frames], INSTANCE)[0][0]) == 3


def test_equal_numbers_of_phases_need_no_repair(make_frame: Make) -> None:
    slices = stack(make_frame)
    assert even_phases(slices, TRIGGER, "study") == (slices, [])


def test_missing_phase_takes_the_image_nearest_in_time(make_frame: Make) -> None:
    # of phases at 0, 150, 300, 480, 600, 750 ms the fourth is missing: that at 600 ms is nearest, 120 of 900 ms away
    slices = [[make_frame(z, t, trigger_time=480.0 if t == 3 else 150.0 * t) for t in range(6)] for z in range(3)]
    del slices[1][3]
    evened, repairs = even_phases(slices, TRIGGER, "study")
    assert [frame.temporal_position for frame in evened[1]] == [1, 2, 3, 5, 5, 6]
    assert repairs[0].problem == "slice 2 of 3 has 5 phases instead of 6"
    assert repairs[0].resolution == "each phase takes its image nearest in time, at most 13% of a beat"


def test_beat_ends_where_it_begins(make_frame: Make) -> None:
    # without its first phase, a slice has the last, at 850 of 900 ms, nearer to the beginning than that at 170 ms
    slices = [[make_frame(z, t, trigger_time=170.0 * t) for t in range(6)] for z in range(3)]
    slices[0] = slices[0][1:]
    evened, _ = even_phases(slices, TRIGGER, "study")
    assert evened[0][0].temporal_position == 6


def test_phases_of_another_heart_rate_are_matched_by_their_part_of_the_beat(make_frame: Make) -> None:
    # a slow beat of 1800 ms with 5 phases 360 ms apart, beside 900 ms with 6 phases 150 ms apart
    slow = [make_frame(2, t, trigger_time=360.0 * t, rr_interval_ms=1800.0) for t in range(5)]
    evened, _ = even_phases([*stack(make_frame, 2), slow], TRIGGER, "study")
    assert [frame.temporal_position for frame in evened[2]] == [1, 2, 3, 3, 4, 5]


def test_phases_lost_from_most_slices_set_no_measure(make_frame: Make) -> None:
    slices = stack(make_frame)
    del slices[0][2], slices[1][4]
    evened, repairs = even_phases(slices, TRIGGER, "study")
    assert [len(frames) for frames in evened] == [6, 6, 6]
    assert len(repairs) == 2


def test_surplus_phases_are_left_out(make_frame: Make) -> None:
    surplus = [make_frame(2, t, 12) for t in range(12)]
    evened, _ = even_phases([*stack(make_frame, 2), surplus], TRIGGER, "study")
    assert [frame.trigger_time for frame in evened[2]] == [0, 150, 300, 450, 600, 750]


def test_phases_are_matched_by_number_where_there_is_no_time(make_frame: Make) -> None:
    slices = stack(make_frame, trigger_time=None, temporal_position=None)
    del slices[1][4]
    evened, _ = even_phases(slices, INSTANCE, "study")
    assert [frame.instance_number for frame in evened[1]] == [7, 8, 9, 10, 10, 12]


def test_slice_with_less_than_half_of_the_phases_is_refused(make_frame: Make) -> None:
    slices = stack(make_frame)
    slices[1] = slices[1][:2]
    with pytest.raises(InputError, match=r"study, slice 2, s1p0\.dcm: 2 of 6 phases are too few"):
        even_phases(slices, TRIGGER, "study")


def test_times_are_the_median_of_the_slices(make_frame: Make) -> None:
    slices = [[make_frame(z, t, trigger_time=step * t) for t in range(3)] for z, step in enumerate((10.0, 11.0, 30.0))]
    assert phase_times_ms(slices) == (0.0, 11.0, 22.0)


def test_times_come_from_the_trigger_delay_too(make_frame: Make) -> None:
    slices = [[make_frame(0, t, trigger_time=None, trigger_delay=30.0 * t) for t in range(3)]]
    assert phase_times_ms(slices) == (0.0, 30.0, 60.0)


@pytest.mark.parametrize("time", [None, 500.0])
def test_times_that_are_not_written_are_unknown(make_frame: Make, time: float | None) -> None:
    assert phase_times_ms(stack(make_frame, trigger_time=time)) is None


def test_single_phase_has_a_time(make_frame: Make) -> None:
    assert phase_times_ms([[make_frame(0, 0, trigger_time=12.0)]]) == (12.0,)

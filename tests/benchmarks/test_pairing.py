"""Medians, paired ratios, turns and lines, with numbers worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks.pairing import Spread, fit_line, interleave, paired_ratio, seconds_a_unit, spread


def test_spread_has_the_median_not_the_mean() -> None:
    assert spread([1.0, 9.0, 2.0]) == Spread(2.0, 1.0, 9.0, 3)


def test_median_of_an_even_number_lies_between_the_middle_two() -> None:
    assert spread([4.0, 1.0, 2.0, 100.0]).median == 3.0


def test_nothing_measured_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        spread([])


def test_spread_reads_as_median_and_range() -> None:
    assert spread([2.0, 1.0, 4.5]).text(1, " s") == "2.0 s (1.0 to 4.5)"


def test_a_single_value_has_no_range() -> None:
    assert spread([2.0]).text(1) == "2.0"


def test_ratios_are_made_round_by_round() -> None:
    # 10/2, 30/5, 16/4; the ratio of the medians would be 16/4
    assert paired_ratio([10.0, 30.0, 16.0], [2.0, 5.0, 4.0]) == Spread(5.0, 4.0, 6.0, 3)


def test_rounds_of_one_side_alone_are_left_out() -> None:
    assert paired_ratio([12.0], [3.0, 1.0]) == Spread(4.0, 4.0, 4.0, 1)


def test_seconds_a_unit_leave_out_the_start() -> None:
    # 5 s of start, 0.5 s a volume
    assert seconds_a_unit((2, 6.0), (12, 11.0)) == 0.5


def test_seconds_a_unit_need_a_larger_cohort() -> None:
    with pytest.raises(ValueError, match="more units than few, got 3 and 3"):
        seconds_a_unit((3, 1.0), (3, 2.0))


def test_rounds_alternate_in_direction() -> None:
    seen: list[str] = []
    jobs = {name: lambda name=name: float(seen.append(name) or 0.0) for name in "abc"}
    interleave(jobs, {"a": 2, "b": 2, "c": 2})
    assert seen == ["a", "b", "c", "c", "b", "a"]


def test_a_job_of_few_rounds_takes_part_in_the_first() -> None:
    count = iter(range(10))
    measured = interleave({"a": lambda: float(next(count)), "b": lambda: float(next(count))}, {"a": 2, "b": 1})
    assert measured == {"a": [0.0, 2.0], "b": [1.0]}


def test_line_through_points_on_it() -> None:
    line = fit_line([1.0, 2.0, 4.0], [5.0, 7.0, 11.0])
    assert (line.slope, line.intercept, line.r_squared) == pytest.approx((2.0, 3.0, 1.0))


def test_line_says_how_straight_the_points_are() -> None:
    # slope 3/2; residuals 1/2, -1, 1/2 of a variance sum of 6: 1 - 1.5/6
    line = fit_line([0.0, 1.0, 2.0], [0.0, 0.0, 3.0])
    assert (line.slope, line.intercept, line.r_squared) == pytest.approx((1.5, -0.5, 0.75))


def test_a_flat_line_is_straight() -> None:
    assert fit_line([1.0, 2.0], [4.0, 4.0]).r_squared == 1.0

from __future__ import annotations

import math

import pytest

from pipeline.reporting.axis import axis_around


@pytest.mark.parametrize(
    ("values", "low", "high", "step"),
    [
        ((0.0, 142.0), 0.0, 150.0, 50.0),
        ((0.62, 1.0), 0.6, 1.0, 0.1),
        ((-3.0, 4.0), -4.0, 4.0, 2.0),
        ((0.3, 0.7), 0.3, 0.7, 0.1),
        ((5.0,), 4.4, 5.6, 0.2),
        ((math.nan,), 0.0, 1.0, 0.2),
    ],
)
def test_axis_has_round_ends(values: tuple[float, ...], low: float, high: float, step: float) -> None:
    axis = axis_around(values, 0, 100)
    assert (axis.low, axis.high, axis.step) == pytest.approx((low, high, step))


def test_values_are_placed_between_the_ends() -> None:
    axis = axis_around((0.0, 10.0), 200, 100)
    assert [axis.place(value) for value in (0.0, 2.5, 10.0)] == [200.0, 175.0, 100.0]


def test_ticks_have_as_many_decimals_as_the_step() -> None:
    axis = axis_around((-1.0, 1.0), 0, 100)
    assert [text for _, text in axis.ticks] == ["\N{MINUS SIGN}1.0", "\N{MINUS SIGN}0.5", "0.0", "0.5", "1.0"]

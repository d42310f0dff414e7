from __future__ import annotations

from typing import Any

import pytest

from pipeline.metrics.function import CardiacFunction
from pipeline.reporting.volume_curve import beat_times, name_phase, volume_curve

LV, RV = (100.0, 40.0, 80.0), (110.0, 60.0, 90.0)


def function(times_ms: tuple[float, ...] | None = None, count: int = 3) -> CardiacFunction:
    numbers: dict[str, Any] = dict.fromkeys(
        ("lv_edv_ml", "lv_esv_ml", "lv_sv_ml", "lv_ef_percent", "lv_mass_g", "rv_edv_ml", "rv_esv_ml", "rv_sv_ml"), 1.0
    )
    return CardiacFunction(LV[:count], RV[:count], LV[:count], 0, 1, times_ms, rv_ef_percent=None, **numbers)


def test_curves_start_at_zero_volume() -> None:
    chart = volume_curve(function())
    assert chart is not None
    assert (chart.y.low, chart.y.high) == (0.0, 150.0)


def test_marks_lie_on_the_lv_curve() -> None:
    chart = volume_curve(function((0.0, 300.0, 700.0)))
    assert chart is not None
    assert [(mark.x, mark.y) for mark in chart.marks] == list(chart.curves[0].points[:2])


def test_two_phases_make_no_curve() -> None:
    assert volume_curve(function(count=2)) is None


@pytest.mark.parametrize("times_ms", [None, (0.0, 300.0, 300.0), (0.0, float("nan"), 700.0)])
def test_phases_are_counted_where_times_do_not_rise(times_ms: tuple[float, ...] | None) -> None:
    assert beat_times(function(times_ms)) == ((1.0, 2.0, 3.0), False)


def test_phase_is_named_from_one() -> None:
    assert name_phase(function((0.0, 300.4, 700.0)), 1) == "phase 2 of 3, 300 ms"
    assert name_phase(function(), 1) == "phase 2 of 3"

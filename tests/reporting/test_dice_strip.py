from __future__ import annotations

from typing import Any

from pipeline.reporting.dice_strip import dice_strips

NAN = float("nan")


def row(case_id: str, phase: str, rv: float, myo: float = 0.8, lv: float = 0.9) -> dict[str, Any]:
    return {"case_id": case_id, "phase": phase, "dice_rv": rv, "dice_myo": myo, "dice_lv": lv}


def test_strips_by_structure_and_phase() -> None:
    chart = dice_strips([row("a", "ed", 0.7), row("a", "es", 0.6)])
    assert chart is not None
    assert [strip.name for strip in chart.strips] == ["RV ED", "RV ES", "MYO ED", "MYO ES", "LV ED", "LV ES"]


def test_cases_without_a_phase_make_one_strip_a_structure() -> None:
    chart = dice_strips([row("a", NAN, 0.7), row("b", NAN, 0.5)])
    assert chart is not None
    assert [strip.name for strip in chart.strips] == ["RV", "MYO", "LV"]
    assert chart.strips[0].median_y == chart.y.place(0.6)


def test_dots_name_their_case() -> None:
    chart = dice_strips([row("a", "ed", 0.7)])
    assert chart is not None
    assert chart.strips[0].points[0].name == "a: 0.700"
    assert "RV ED 0.700" in chart.description


def test_structure_that_no_case_has_is_left_out() -> None:
    chart = dice_strips([row("a", "ed", NAN)])
    assert chart is not None
    assert [strip.key for strip in chart.strips] == ["myo", "lv"]


def test_nothing_to_show_makes_no_chart() -> None:
    assert dice_strips([]) is None

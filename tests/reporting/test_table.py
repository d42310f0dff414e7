from __future__ import annotations

from typing import Any

import pytest

from pipeline.labels import FOREGROUND
from pipeline.metrics import summarize
from pipeline.metrics.studies import pair_studies, summarize_studies
from pipeline.reporting.table import format_summary


def row(case_id: str, phase: str, dice_rv: float, surface: bool = True) -> dict[str, Any]:
    measures = {"dice": 0.9, "iou": 0.8} | ({"hd95_mm": 4.04, "assd_mm": 1.234} if surface else {})
    figures: dict[str, Any] = {"case_id": case_id, "phase": phase, "accuracy": 0.99}
    for name, value in measures.items():
        figures |= {f"mean_{name}": value} | {f"{name}_{structure.key}": value for structure in FOREGROUND}
    for flag in ("missed", "false_alarm"):
        figures |= {f"{flag}_{structure.key}": 0.0 for structure in FOREGROUND}
    return figures | {"dice_rv": dice_rv, "missed_rv": float(dice_rv == 0.0)}


TABLE = format_summary(summarize([row("a_ed", "ed", 0.8), row("b_ed", "ed", 0.0), row("a_es", "es", 0.7)]))
LINES = {tuple(line.split()[:2]): line.split() for line in TABLE.splitlines()}


def test_line_of_a_structure_and_phase() -> None:
    expected = ["RV", "ed", "2", "0.400", "0.566", "0.800", "4.0", "1.23", "1", "0"]
    assert LINES["RV", "ed"] == expected


def test_line_of_the_means() -> None:
    assert LINES["mean", "all"] == ["mean", "all", "3", "0.900", "0.800", "4.0", "1.23", "1", "0"]


def test_each_structure_and_phase_has_a_line() -> None:
    expected = {(name, phase) for name in ("RV", "MYO", "LV", "mean") for phase in ("ed", "es", "all")}
    assert {key for key in LINES if key[1:] and key[1] in ("ed", "es", "all")} == expected


def test_columns_align() -> None:
    assert len({len(line) for line in TABLE.splitlines()}) == 1


def test_table_is_ascii() -> None:
    assert TABLE.isascii()


@pytest.mark.parametrize("column", [6, 7])
def test_distances_not_measured_show_as_a_dash(column: int) -> None:
    table = format_summary(summarize([row("a", "", 0.8, surface=False)]))
    assert table.splitlines()[2].split()[column] == "-"


def test_phases_not_named_are_left_out() -> None:
    table = format_summary(summarize([row("a", "", 0.8)]))
    assert [line.split()[1] for line in table.splitlines()[2:5]] == ["all"] * 3


def test_agreement_follows_the_means() -> None:
    volumes = {f"{prefix}volume_ml_{key}": 100.0 for prefix in ("", "label_") for key in ("lv", "rv", "myo")}
    rows = [row(f"a_{phase}", phase, 0.8) | volumes for phase in ("ed", "es")]
    summary = summarize(rows) | {"agreement": summarize_studies(pair_studies(rows))}
    assert "LV EF %" in format_summary(summary).split("\n\n")[1]

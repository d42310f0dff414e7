from __future__ import annotations

import json
import math
from typing import Any

import pytest

from pipeline.labels import FOREGROUND
from pipeline.metrics.summary import structure_keys, summarize, summary_scalars
from pipeline.reporting.table import format_summary


def row(case_id: str, phase: str, dice_lv: float, missed_lv: float = 0.0, surface: bool = True) -> dict[str, Any]:
    """Return a case whose RV and MYO are perfect."""
    figures: dict[str, Any] = {"case_id": case_id, "phase": phase, "accuracy": 0.9, "mean_dice": (2 + dice_lv) / 3}
    for structure in FOREGROUND:
        figures |= {f"{name}_{structure.key}": 1.0 for name in ("dice", "iou")}
        figures |= {f"{name}_{structure.key}": 0.0 for name in ("missed", "false_alarm")}
        figures |= {f"{name}_{structure.key}": 2.0 for name in ("hd95_mm", "assd_mm") if surface}
    figures |= {"mean_iou": 1.0} | ({"mean_hd95_mm": 2.0, "mean_assd_mm": 2.0} if surface else {})
    return figures | {"dice_lv": dice_lv, "missed_lv": missed_lv}


ROWS = [row("a_ed", "ed", 0.9), row("a_es", "es", 0.5), row("b_ed", "ed", 0.7), row("b_es", "es", 0.0, missed_lv=1.0)]


@pytest.mark.parametrize(
    ("statistic", "expected"),
    # 0.9, 0.5, 0.7, 0.0: deviations from 0.525 square to 0.140625, 0.000625, 0.030625, 0.275625, sum 0.4475
    [("mean", 0.525), ("sd", (0.4475 / 3) ** 0.5), ("median", 0.6), ("min", 0.0), ("max", 0.9), ("n", 4)],
)
def test_statistics_over_cases(statistic: str, expected: float) -> None:
    assert summarize(ROWS)["all"]["lv"]["dice"][statistic] == pytest.approx(expected)


@pytest.mark.parametrize(("phase", "expected"), [("ed", 0.8), ("es", 0.25)])
def test_phases_apart(phase: str, expected: float) -> None:
    assert summarize(ROWS)[phase]["lv"]["dice"]["mean"] == pytest.approx(expected)


def test_mean_dice_is_the_mean_of_the_cases_means() -> None:
    assert summarize(ROWS)["all"]["mean_dice"] == pytest.approx((4 * 2 + 2.1) / 12)


def test_misses_are_counted() -> None:
    assert summarize(ROWS)["all"]["lv"]["missed"] == 1


def test_false_alarms_are_counted() -> None:
    rows = [ROWS[0] | {"false_alarm_rv": 1.0}, *ROWS[1:]]
    assert summarize(rows)["all"]["rv"]["false_alarms"] == 1


def test_cases_are_counted() -> None:
    summary = summarize(ROWS)
    assert (summary["num_cases"], summary["ed"]["num_cases"]) == (4, 2)


def test_rules_are_written_down() -> None:
    assert "does not count" in summarize(ROWS)["rules"]


def test_phase_without_cases_is_left_out() -> None:
    assert set(summarize([row("a", "", 0.9)])) == {"all", "num_cases", "rules"}


def test_nan_does_not_count() -> None:
    dice = summarize([*ROWS, row("c_ed", "ed", math.nan)])["all"]["lv"]["dice"]
    assert (dice["n"], dice["mean"]) == (4, pytest.approx(0.525))


def test_structure_that_no_case_has_is_none() -> None:
    dice = summarize([row("a_ed", "ed", math.nan)])["all"]["lv"]["dice"]
    assert dice == {"mean": None, "sd": None, "median": None, "min": None, "max": None, "n": 0}


def test_single_case_has_no_sd() -> None:
    assert summarize(ROWS[:1])["all"]["lv"]["dice"]["sd"] is None


def test_summary_is_strict_json() -> None:
    summary = summarize([row("a_ed", "ed", math.nan)])
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_distances_may_be_absent() -> None:
    summary = summarize([row("a_ed", "ed", 0.9, surface=False)])
    assert "hd95_mm" not in summary["all"]["lv"] and "mean_hd95_mm" not in summary["all"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("val_dice_lv", 0.525),
        ("val_dice_lv_es", 0.25),
        ("val_mean_dice_ed", (2 + 0.8) / 3),
        ("val_hd95_mm_rv", 2.0),
        ("val_mean_assd_mm", 2.0),
        ("val_accuracy", 0.9),
        ("val_missed_lv", 1.0),
        ("val_false_alarm_rv", 0.0),
    ],
)
def test_scalars(name: str, expected: float) -> None:
    assert summary_scalars(summarize(ROWS))[name] == pytest.approx(expected)


def test_scalar_that_no_case_counts_for_is_nan() -> None:
    assert math.isnan(summary_scalars(summarize([row("a_ed", "ed", math.nan)]))["val_dice_lv"])


def test_scalars_take_a_prefix() -> None:
    assert all(name.startswith("test_") for name in summary_scalars(summarize(ROWS), prefix="test_"))


def test_no_rows() -> None:
    with pytest.raises(ValueError, match="at least one case, got no rows"):
        summarize([])


def test_scalars_of_the_agreement() -> None:
    figures = {"n": 2, "bias": 1.5, "sd": None, "mean_absolute_error": 2.0, "pearson_r": None}
    summary = summarize(ROWS) | {"agreement": {"quantities": {"lv_ef_percent": figures}}}
    assert summary_scalars(summary)["val_agreement.lv_ef_percent.bias"] == 1.5


def expecting(*expected: float) -> list[dict[str, Any]]:
    return [case | {"expected_mean_dice": value} for case, value in zip(ROWS, expected, strict=True)]


def test_rank_correlation_of_the_expected_dice() -> None:
    # ranks of the true Dice: 4, 2, 3, 1; of the expected: 4, 3, 2, 1; 1 - 6 * (0 + 1 + 1 + 0) / (4 * 15)
    assert summarize(expecting(0.9, 0.8, 0.7, 0.6))["expected_dice_rank_correlation"] == pytest.approx(0.8)


def test_rank_correlation_is_logged() -> None:
    scalars = summary_scalars(summarize(expecting(0.9, 0.8, 0.7, 0.6)))
    assert scalars["val_expected_dice_rank_correlation"] == pytest.approx(0.8)


@pytest.mark.parametrize("rows", [ROWS, expecting(0.5, 0.5, 0.5, 0.5), expecting(0.5, math.nan, math.nan, math.nan)])
def test_without_differing_expectations_there_is_no_rank_correlation(rows: list[dict[str, Any]]) -> None:
    assert "expected_dice_rank_correlation" not in summarize(rows)


def test_further_label_has_figures_of_its_own() -> None:
    scar = {f"{name}_label_4": 0.5 for name in ("dice", "iou", "hd95_mm", "assd_mm")}
    rows = [{**row, **scar, "missed_label_4": 0.0, "false_alarm_label_4": 1.0} for row in ROWS]
    summary = summarize(rows)
    assert structure_keys(summary["all"]) == ["rv", "myo", "lv", "label_4"]
    assert summary["ed"]["label_4"]["dice"]["mean"] == 0.5
    scalars = summary_scalars(summary)
    assert (scalars["val_dice_label_4"], scalars["val_false_alarm_label_4"]) == (0.5, 4.0)
    assert "LABEL_4" in format_summary(summary)

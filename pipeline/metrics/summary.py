"""From the figures of each case to those of a cohort."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from pipeline.labels import FOREGROUND
from pipeline.metrics.case import MEAN_MEASURES, RULES
from pipeline.metrics.studies import agreement_scalars

PHASES: tuple[str, ...] = ("ed", "es")

EXPECTED_DICE = "expected_mean_dice"
RANK_CORRELATION = "expected_dice_rank_correlation"
"""Spearman's, of the Dice that the masks expect of themselves with their true one, over the cases."""

Row = Mapping[str, Any]


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Sum up a cohort: all cases together, and the phases apart where the cases name them.

    Args:
        rows: a case each: ``case_id``, ``phase`` and the figures of ``measure_case``; the distances may be absent.

    Returns:
        Values that JSON can hold (None where no case counts)::

            {"all": block, "ed": block, "es": block, "num_cases": 40, "rules": "A structure that …"}

        and, where the cases have an ``expected_mean_dice``, ``expected_dice_rank_correlation``. There
        a block holds ``num_cases``, ``accuracy``, ``mean_dice``, ``mean_iou``, ``mean_hd95_mm``,
        ``mean_assd_mm`` (means over the cases' means) and, for each of ``rv``, ``myo``, ``lv`` and further labels such
        as ``label_4``: ``dice``, ``iou``, ``hd95_mm``, ``assd_mm`` as ``{"mean", "sd", "median", "min", "max", "n"}``
        over the cases that count, and the counts ``missed`` and ``false_alarms``. ``sd`` is the sample's, None for a
        single case.

    Raises:
        ValueError: there is no case.
    """
    if not rows:
        raise ValueError("summarize needs at least one case, got no rows.")
    blocks = {"all": _block(rows)}
    for phase in PHASES:
        of_phase = [row for row in rows if row.get("phase") == phase]
        if of_phase:
            blocks[phase] = _block(of_phase)
    return {**blocks, "num_cases": len(rows), "rules": RULES, **_ranking(rows)}


def _ranking(rows: Sequence[Row]) -> dict[str, Any]:
    """Return how well the Dice that the masks expected ranks the cases by their true one: Spearman's correlation."""
    pairs = [(row[EXPECTED_DICE], row["mean_dice"]) for row in rows if EXPECTED_DICE in row]
    known = [(expected, true) for expected, true in pairs if math.isfinite(expected) and math.isfinite(true)]
    if len({expected for expected, _ in known}) < 2 or len({true for _, true in known}) < 2:
        return {}
    return {RANK_CORRELATION: float(spearmanr(*zip(*known, strict=True)).statistic)}


def summary_scalars(summary: Mapping[str, Any], prefix: str = "val_") -> dict[str, float]:
    """Flatten a summary to the scalars that a log or MLflow takes.

    Args:
        summary: what ``summarize`` returns; where it has an ``agreement``, what ``summarize_studies`` returns.
        prefix: put before each name.

    Returns:
        ``val_mean_dice``, ``val_accuracy``, ``val_dice_rv``, ``val_hd95_mm_lv``, … (means over the cases that count,
        NaN where none does), ``val_missed_rv`` and ``val_false_alarm_rv`` (numbers of cases), and for each
        phase ``val_mean_dice_ed``, ``val_dice_rv_ed``, …; ``val_agreement.lv_ef_percent.bias``, … of the agreement.
    """
    scalars = _block_scalars(summary["all"])
    for phase in PHASES:
        if phase in summary:
            of_phase = _block_scalars(summary[phase])
            scalars |= {f"{name}_{phase}": value for name, value in of_phase.items() if "dice" in name}
    scalars |= agreement_scalars(summary.get("agreement", {}))
    scalars |= {RANK_CORRELATION: summary[RANK_CORRELATION]} if RANK_CORRELATION in summary else {}
    return {f"{prefix}{name}": value for name, value in scalars.items()}


def _block(rows: Sequence[Row]) -> dict[str, Any]:
    block: dict[str, Any] = {"num_cases": len(rows)}
    for name in (*(f"mean_{measure}" for measure in MEAN_MEASURES), "accuracy"):
        if name in rows[0]:
            block[name] = _statistics([row[name] for row in rows])["mean"]
    further = [name.removeprefix("dice_") for name in rows[0] if name.startswith("dice_label_")]
    for key in (*(structure.key for structure in FOREGROUND), *further):
        block[key] = _structure_block(rows, key)
    return block


def structure_keys(block: Mapping[str, Any]) -> list[str]:
    """Return the keys of the structures and further labels that a block of a summary has figures of."""
    return [key for key, values in block.items() if isinstance(values, Mapping)]


def _structure_block(rows: Sequence[Row], key: str) -> dict[str, Any]:
    statistics = {
        measure: _statistics([row[f"{measure}_{key}"] for row in rows])
        for measure in MEAN_MEASURES
        if f"{measure}_{key}" in rows[0]
    }
    missed = sum(int(row[f"missed_{key}"]) for row in rows)
    false_alarms = sum(int(row[f"false_alarm_{key}"]) for row in rows)
    return {**statistics, "missed": missed, "false_alarms": false_alarms}


def _statistics(values: Sequence[float]) -> dict[str, float | int | None]:
    counted = np.array([value for value in values if not np.isnan(value)], dtype=np.float64)
    if not counted.size:
        return {"mean": None, "sd": None, "median": None, "min": None, "max": None, "n": 0}
    return {
        "mean": float(counted.mean()),
        "sd": float(counted.std(ddof=1)) if counted.size > 1 else None,
        "median": float(np.median(counted)),
        "min": float(counted.min()),
        "max": float(counted.max()),
        "n": int(counted.size),
    }


def _block_scalars(block: Mapping[str, Any]) -> dict[str, float]:
    scalars = {name: _number(block[name]) for name in block if name.startswith("mean_") or name == "accuracy"}
    for key in structure_keys(block):
        values = block[key]
        for measure in MEAN_MEASURES:
            if measure in values:
                scalars[f"{measure}_{key}"] = _number(values[measure]["mean"])
        scalars[f"missed_{key}"] = float(values["missed"])
        scalars[f"false_alarm_{key}"] = float(values["false_alarms"])
    return scalars


def _number(value: float | None) -> float:
    return float("nan") if value is None else value

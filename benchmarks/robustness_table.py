"""The table of a robustness run, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.labels import FOREGROUND

Row = Mapping[str, Any]


def format_table(rows: Mapping[str, Sequence[Row]], reference: str) -> str:
    """Lay out a line a change: mean Dice, its drop from the reference, Dice and misses a class.

    Args:
        rows: name of the change to its cases, as ``SegmentationMetrics.rows`` has them.
        reference: name of the line that the drop is measured from.

    Returns:
        Markdown, ending with a line break. Where a class has no case (Sunnybrook's RV) there is no drop.
    """
    names = [structure.name for structure in FOREGROUND]
    heads = ["change", "mean Dice", "drop", *(f"Dice {name}" for name in names), *(f"missed {name}" for name in names)]
    base = mean_of(rows[reference], "mean_dice")
    lines = [_line(heads), _line(["---"] + ["---:"] * (len(heads) - 1))]
    lines += [_line(_cells(name, cases, base)) for name, cases in rows.items()]
    return "\n".join(lines) + "\n"


def mean_of(cases: Sequence[Row], key: str) -> float:
    """Return the mean over the cases that count; NaN where none does."""
    values = [case[key] for case in cases if not np.isnan(case[key])]
    return float(np.mean(values)) if values else float("nan")


def _cells(name: str, cases: Sequence[Row], base: float) -> list[str]:
    dice = mean_of(cases, "mean_dice")
    classes = [mean_of(cases, f"dice_{structure.key}") for structure in FOREGROUND]
    # the mean of fewer classes is another figure
    drop = float("nan") if np.isnan(classes).any() else base - dice
    missed = [str(sum(int(case[f"missed_{structure.key}"]) for case in cases)) for structure in FOREGROUND]
    return [name, *map(_number, (dice, drop, *classes)), *missed]


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

"""The chart of Dice a structure and phase: a dot a case, a bar at the median."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.labels import FOREGROUND
from pipeline.metrics.summary import PHASES
from pipeline.reporting.axis import Axis, axis_around

WIDTH, HEIGHT = 460, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 36, 456, 26, 236
_SPREAD = 34.0
_GOLDEN = 0.618034  # multiples of it spread evenly over 0 to 1, the same on every run


@dataclass(frozen=True)
class Dot:
    """One case: its place and its name."""

    x: float
    y: float
    name: str


@dataclass(frozen=True)
class Strip:
    """One structure at one phase: its key (``"lv"``), its name, its middle, its cases and their median's place."""

    key: str
    name: str
    x: float
    median_y: float
    points: tuple[Dot, ...]


@dataclass(frozen=True)
class DiceStrips:
    """Geometry of the chart, in units of its view box ``WIDTH`` x ``HEIGHT``."""

    x: Axis
    y: Axis
    strips: tuple[Strip, ...]
    description: str
    width: int = WIDTH
    height: int = HEIGHT


def dice_strips(rows: Sequence[Mapping[str, Any]]) -> DiceStrips | None:
    """Lay out the Dice of all cases.

    Args:
        rows: a case each, with ``case_id``, ``phase`` and ``dice_rv``, ``dice_myo``, ``dice_lv``; NaN does not count.

    Returns:
        Strips by structure, and by phase where the cases name theirs; None where no case counts.
    """
    named = [phase for phase in PHASES if any(row.get("phase") == phase for row in rows)]
    groups = [
        (structure.key, phase, _counted(rows, structure.key, phase))
        for structure in FOREGROUND
        for phase in named or [""]
    ]
    groups = [group for group in groups if group[2]]
    if not groups:
        return None
    y = axis_around([1.0, *(dice for *_, cases in groups for dice, _ in cases)], _BOTTOM, _TOP)
    width = (_RIGHT - _LEFT) / len(groups)
    strips = tuple(
        _strip(key, phase, cases, round(_LEFT + (place + 0.5) * width, 1), y)
        for place, (key, phase, cases) in enumerate(groups)
    )
    # the strips name themselves: the axis across has no ticks of its own
    across = Axis(0, 1, _LEFT, _RIGHT, 1)
    medians = ", ".join(f"{key.upper()} {phase.upper()} {_median(cases):.3f}" for key, phase, cases in groups)
    return DiceStrips(across, y, strips, f"Dice of each case by structure and phase. Medians: {medians}.")


def _counted(rows: Sequence[Mapping[str, Any]], key: str, phase: str) -> list[tuple[float, str]]:
    of_phase = [row for row in rows if not phase or row.get("phase") == phase]
    pairs = [(float(row[f"dice_{key}"]), str(row["case_id"])) for row in of_phase]
    return [(dice, name) for dice, name in pairs if not math.isnan(dice)]


def _strip(key: str, phase: str, cases: Sequence[tuple[float, str]], x: float, y: Axis) -> Strip:
    dots = tuple(
        Dot(round(x + ((place * _GOLDEN) % 1 - 0.5) * _SPREAD, 1), y.place(dice), f"{name}: {dice:.3f}")
        for place, (dice, name) in enumerate(sorted(cases))
    )
    return Strip(key, f"{key.upper()} {phase.upper()}".strip(), x, y.place(_median(cases)), dots)


def _median(cases: Sequence[tuple[float, str]]) -> float:
    return statistics.median(dice for dice, _ in cases)

"""The chart of how far two ways of measuring are apart: difference over mean, with bias and limits of agreement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.metrics.agreement import Agreement, bland_altman
from pipeline.metrics.function import CardiacFunction
from pipeline.reporting.axis import Axis, axis_around

AGREEMENT_NUMBERS: tuple[tuple[str, str, str], ...] = (
    ("lv_ef_percent", "LV EF", "%"),
    ("lv_edv_ml", "LV EDV", "mL"),
    ("lv_esv_ml", "LV ESV", "mL"),
    ("lv_mass_g", "LV mass", "g"),
    ("rv_ef_percent", "RV EF", "%"),
)
"""Numbers that software and experts are compared by: attribute of ``CardiacFunction``, name, unit."""

WIDTH, HEIGHT = 460, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 352, 26, 236
_LINE_HEIGHT = 14.0


@dataclass(frozen=True)
class AgreementPairs:
    """One number of many studies, measured by the software and by an expert.

    Attributes:
        name: of the number, such as ``"LV EF"``.
        unit: of the number.
        case_ids: names of the studies.
        measured: by the software, in the order of ``case_ids``; None or NaN where unknown.
        reference: by the expert, the same.

    Raises:
        ValueError: the three differ in length.
    """

    name: str
    unit: str
    case_ids: Sequence[str]
    measured: Sequence[float | None]
    reference: Sequence[float | None]

    def __post_init__(self) -> None:
        if not len(self.case_ids) == len(self.measured) == len(self.reference):
            raise ValueError(
                f"{self.name}: each pair needs a name and both values, got {len(self.case_ids)} names, "
                f"{len(self.measured)} measured and {len(self.reference)} reference values."
            )

    def known(self) -> list[tuple[str, float, float]]:
        """Return name, measured and reference value of the studies that have both."""
        return [
            (case_id, ours, theirs)
            for case_id, ours, theirs in zip(self.case_ids, self.measured, self.reference, strict=True)
            if ours is not None and theirs is not None and not math.isnan(ours) and not math.isnan(theirs)
        ]


@dataclass(frozen=True)
class Pair:
    """One study: its place in the chart, and its name with both values."""

    x: float
    y: float
    name: str


@dataclass(frozen=True)
class Level:
    """A horizontal line: ``"bias"``, ``"bound"`` or ``"zero"``, its place, and the text at its end."""

    key: str
    y: float
    text_y: float
    text: str


@dataclass(frozen=True)
class BlandAltmanChart:
    """Geometry of the chart, in units of its view box ``WIDTH`` x ``HEIGHT``, and the figures that it shows."""

    name: str
    unit: str
    figures: Agreement
    x: Axis
    y: Axis
    x_title: str
    y_title: str
    points: tuple[Pair, ...]
    lines: tuple[Level, ...]
    description: str
    width: int = WIDTH
    height: int = HEIGHT


def agreement_pairs(
    case_ids: Sequence[str], measured: Sequence[CardiacFunction], reference: Sequence[CardiacFunction]
) -> list[AgreementPairs]:
    """Pair the numbers of the software's masks with those of the experts' masks.

    Args:
        case_ids: names of the studies.
        measured: function by the software's masks, in the order of ``case_ids``.
        reference: function by the experts' masks, the same.

    Returns:
        One entry for each of ``AGREEMENT_NUMBERS``.

    Raises:
        ValueError: the three differ in length.
    """
    return [
        AgreementPairs(
            name, unit, case_ids, [getattr(one, key) for one in measured], [getattr(one, key) for one in reference]
        )
        for key, name, unit in AGREEMENT_NUMBERS
    ]


def bland_altman_chart(pairs: AgreementPairs) -> BlandAltmanChart | None:
    """Lay out the differences of pairs.

    Args:
        pairs: of one number.

    Returns:
        The chart; without limits for a single pair, None without any.
    """
    known = pairs.known()
    if not known:
        return None
    name, unit = pairs.name, pairs.unit
    figures = bland_altman([ours for _, ours, _ in known], [theirs for _, _, theirs in known])
    levels = _levels(figures)
    x = axis_around([(ours + theirs) / 2 for _, ours, theirs in known], _LEFT, _RIGHT)
    y = axis_around([*(ours - theirs for _, ours, theirs in known), *(value for _, value, _ in levels)], _BOTTOM, _TOP)
    points = tuple(
        Pair(
            x.place((ours + theirs) / 2),
            y.place(ours - theirs),
            f"{case_id}: measured {ours:.1f}, reference {theirs:.1f} {unit}",
        )
        for case_id, ours, theirs in known
    )
    return BlandAltmanChart(
        name,
        unit,
        figures,
        x,
        y,
        f"mean of both, {unit}",
        f"measured \N{MINUS SIGN} reference, {unit}",
        points,
        _lines(levels, y),
        _describe(name, unit, len(known), levels),
    )


def signed(value: float) -> str:
    """Return a difference with its sign and one decimal."""
    return f"{value:+.1f}".replace("-", "\N{MINUS SIGN}")


def _levels(figures: Agreement) -> list[tuple[str, float, str]]:
    """Return kind, value and text of each line that is known."""
    levels = [
        ("zero", 0.0, ""),
        ("bias", figures.bias, "bias"),
        ("bound", figures.upper_limit, "+1.96 sd"),
        ("bound", figures.lower_limit, "\N{MINUS SIGN}1.96 sd"),
    ]
    return [(key, value, text) for key, value, text in levels if value is not None]


def _lines(levels: Sequence[tuple[str, float, str]], y: Axis) -> tuple[Level, ...]:
    lines = []
    lowest = -math.inf
    # texts of lines that lie close are moved apart, from the top down
    for key, value, text in sorted(levels, key=lambda level: -level[1]):
        place = y.place(value)
        text_y = place + 4
        if text:
            text_y = round(max(text_y, lowest + _LINE_HEIGHT), 1)
            lowest = text_y
        lines.append(Level(key, place, text_y, f"{text} {signed(value)}" if text else ""))
    return tuple(lines)


def _describe(name: str, unit: str, count: int, levels: Sequence[tuple[str, float, str]]) -> str:
    named = ", ".join(f"{text} {signed(value)} {unit}" for key, value, text in levels if key != "zero")
    return f"Bland-Altman plot of {name}, {count} {'study' if count == 1 else 'studies'}: {named}."

"""A comparison as text for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.comparison.experiment import Comparison
from pipeline.comparison.paired import CONFIDENCE, Difference, Pair
from pipeline.comparison.params import group_labels
from pipeline.comparison.rows import Row

NOTHING = "-"
MAX_VALUE = 60
MAX_RUNS_NAMED = 6

_COLUMNS = ("#", "run", "status", "Dice", "RV", "MYO", "LV", "HD95 mm", "missed", "minutes", "params", "device")
_LEFT_ALIGNED = frozenset({"run", "status", "device"})
_PAIR_COLUMNS = (
    "figure",
    "A",
    "B",
    "A - B",
    f"{CONFIDENCE:.0%} interval",
    "p",
    "p Holm",
    "cases",
    "patients",
    "better",
)
_FIRST_COLUMNS = ("best against", "A", "B", "A - B", f"{CONFIDENCE:.0%} interval", "p", "p Holm", "cases", "better")
_STRUCTURES = ("rv", "myo", "lv")


def format_comparison(comparison: Comparison, limit: int = 20) -> str:
    """Lay out a comparison: the table of runs, the settings in which they differ, the pairs, the notes.

    Args:
        comparison: what ``compare_experiment`` returns.
        limit: runs, and settings, to show at most.

    Returns:
        Lines of text without a line break at the end. Runs are numbered; settings and pairs refer to the numbers.
    """
    rows = comparison.rows[:limit]
    lines = [f"{comparison.experiment} in {comparison.store}: {len(comparison.rows)} runs", ""]
    lines += layout(_COLUMNS, [_cells(place, row) for place, row in enumerate(rows, 1)], _LEFT_ALIGNED)
    lines += _more(len(comparison.rows), limit, "runs")
    lines += _settings(comparison, limit)
    if comparison.pairs:
        lines += ["", *_pairs(comparison.pairs), "", *explain_pairs(comparison.pairs)]
    if comparison.notes:
        lines += ["", "Notes:", *(f"  {note}" for note in comparison.notes)]
    return "\n".join(lines)


def layout(columns: Sequence[str], rows: Sequence[Sequence[str]], left: frozenset[str] | None = None) -> list[str]:
    """Align cells in columns under a header with a rule; the first column is aligned left unless ``left`` is given."""
    aligned = left if left is not None else frozenset(columns[:1])
    widths = [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        cells = (
            cell.ljust(width) if column in aligned else cell.rjust(width)
            for column, cell, width in zip(columns, row, widths, strict=True)
        )
        return "  ".join(cells).rstrip()

    return [line(columns), "-" * (sum(widths) + 2 * (len(widths) - 1)), *map(line, rows)]


def number(value: float | None, digits: int) -> str:
    """Return a number with so many digits after the point; ``-`` for None and NaN."""
    return NOTHING if value is None or math.isnan(value) else f"{value:.{digits}f}"


def signed(value: float, digits: int) -> str:
    """The same, always with its sign."""
    return NOTHING if math.isnan(value) else f"{value:+.{digits}f}"


def interval_text(item: Difference) -> str:
    """Return both ends of the interval; ``-`` where there is none."""
    if math.isnan(item.low):
        return NOTHING
    digits = digits_of(item.measure)
    return f"[{signed(item.low, digits)}, {signed(item.high, digits)}]"


def p_text(p: float) -> str:
    """Return a p-value as papers print it."""
    return NOTHING if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def digits_of(measure: str) -> int:
    """Digits after the point that a figure is told with."""
    return 2 if "_mm" in measure else 4


def missed(row: Row) -> float:
    """Structures that the run found no voxel of, over all cases; NaN where that is unknown."""
    return sum(row.figures.get(f"missed_{key}", math.nan) for key in _STRUCTURES)


def parameters_text(value: float) -> str:
    """Return a number of weights in thousands or millions."""
    if math.isnan(value):
        return NOTHING
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.0f} k"


def describe_pair(pair: Pair) -> str:
    """Return which runs a pair is of, and on how many cases it stands."""
    return (
        f"A = {pair.name_a}, B = {pair.name_b}: {len(pair.cases_a)} cases in both (A has {pair.num_a}, B {pair.num_b})"
    )


def _pairs(pairs: Sequence[Pair]) -> list[str]:
    """A named pair with all figures; of several, the first figure alone: the files have the others."""
    if len(pairs) == 1:
        rows = [pair_cells(item) for item in pairs[0].differences]
        return [describe_pair(pairs[0]), *layout(_PAIR_COLUMNS, rows)]
    first = pairs[0].differences[0].measure if pairs[0].differences else ""
    rows = [_first_cells(pair, item) for pair in pairs for item in pair.differences if item.measure == first]
    return [f"A = {pairs[0].name_a}, {first} case by case:", *layout(_FIRST_COLUMNS, rows)]


def explain_pairs(pairs: Sequence[Pair]) -> list[str]:
    """Return how the pairs were computed, and what they do not say."""
    lines = [
        "A - B: mean over the cases that count in both. Interval: bootstrap over patients, with all of their cases.",
        "p: Wilcoxon's signed-rank test, one value a patient. Holm: for the number of pairs.",
    ]
    if len(pairs) > 1:
        lines.append("A was chosen as the best on these very cases, which flatters it; other cases must confirm it.")
    return lines


def _cells(place: int, row: Row) -> tuple[str, ...]:
    star = "*" if row.source == "latest" and row.record.tags.get("job") == "training" else ""
    dice = number(row.figures.get("mean_dice"), 4)
    name = f"{row.label} [{len(row.folds)} folds]" if row.folds else row.label
    return (
        str(place),
        name,
        row.status,
        dice + star if dice != NOTHING else dice,
        *(number(row.figures.get(f"dice_{key}"), 3) for key in _STRUCTURES),
        number(row.figures.get("mean_hd95_mm"), 2),
        number(missed(row), 0),
        number(row.minutes, 1),
        parameters_text(row.num_parameters),
        row.device or NOTHING,
    )


def pair_cells(item: Difference) -> tuple[str, ...]:
    """Return the texts of a paired difference in the order of the table's head: the figure's name, its numbers."""
    digits = digits_of(item.measure)
    return (
        item.measure,
        number(item.mean_a, digits),
        number(item.mean_b, digits),
        signed(item.difference, digits),
        interval_text(item),
        p_text(item.p),
        p_text(item.p_adjusted),
        str(item.num_cases),
        str(item.num_patients),
        item.verdict or NOTHING,
    )


def _first_cells(pair: Pair, item: Difference) -> tuple[str, ...]:
    _, *figures, cases, _patients, better = pair_cells(item)
    return (pair.name_b, *figures, cases, better)


def _settings(comparison: Comparison, limit: int) -> list[str]:
    if not comparison.settings:
        return []
    labels = [f"#{place}" for place in range(1, len(comparison.rows) + 1)]
    lines = ["", "Settings that differ:"]
    for setting in comparison.settings[:limit]:
        also = f" (and {len(setting.also)} with it)" if setting.also else ""
        values = [_value(value, runs) for value, runs in group_labels(labels, setting.values).items()]
        shown = "; ".join(values[:MAX_RUNS_NAMED]) + ("; ..." if len(values) > MAX_RUNS_NAMED else "")
        lines.append(f"  {setting.key}{also}: {shown}")
    return lines + _more(len(comparison.settings), limit, "settings")


def _value(value: str, runs: Sequence[str]) -> str:
    short = value if len(value) <= MAX_VALUE else value[: MAX_VALUE - 3] + "..."
    named = " ".join(runs) if len(runs) <= MAX_RUNS_NAMED else f"{len(runs)} runs"
    return f"{short or repr(short)} ({named})"


def _more(number_of_all: int, limit: int, what: str) -> list[str]:
    return [f"... and {number_of_all - limit} more {what}"] if number_of_all > limit else []

"""Repeats that take turns, and what is said of them: medians, paired ratios with their spread, lines."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The median of some repeats, and their lowest and highest.

    Attributes:
        median: of the values.
        low: smallest value.
        high: largest value.
        count: number of values.
    """

    median: float
    low: float
    high: float
    count: int

    def text(self, digits: int = 2, unit: str = "") -> str:
        """Return ``median (low to high)``; the median alone where there is one value."""
        shown = f"{self.median:.{digits}f}{unit}"
        return shown if self.count == 1 else f"{shown} ({self.low:.{digits}f} to {self.high:.{digits}f})"

    def reached(self, digits: int = 2, unit: str = "") -> str:
        """Return :meth:`text` with the unit behind it, for a goal, which says so where it rests on one round."""
        return f"{self.text(digits)}{unit}" + (" (one round)" if self.count == 1 else "")


def spread(values: Sequence[float]) -> Spread:
    """Return median, lowest and highest of some values.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("values must not be empty: nothing was measured.")
    return Spread(statistics.median(values), min(values), max(values), len(values))


def interleave(jobs: Mapping[str, Callable[[], float]], repeats: Mapping[str, int]) -> dict[str, list[float]]:
    """Run jobs in turns, so that what the machine does meanwhile meets all of them alike.

    Every other round goes backwards: a machine that gets slower favors nobody.

    Args:
        jobs: what to run, by name; each returns its measurement.
        repeats: rounds in which each job takes part, by name; those of few take part in the first ones.

    Returns:
        The measurements of each job, by round.
    """
    measured: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(max(repeats.values(), default=0)):
        order = list(jobs) if number % 2 == 0 else list(reversed(jobs))
        for name in order:
            if number < repeats[name]:
                measured[name].append(jobs[name]())
    return measured


def paired_ratio(values: Sequence[float], reference: Sequence[float]) -> Spread:
    """Return how many times the reference the values are, round by round.

    Args:
        values: by round.
        reference: by round; rounds that only one of both took part in are left out.
    """
    return spread([value / other for value, other in zip(values, reference, strict=False)])


def seconds_a_unit(few: tuple[int, float], many: tuple[int, float]) -> float:
    """Return what one unit more costs, without the start of the process.

    Args:
        few: number of units, and the seconds of the whole process.
        many: the same for more units.

    Raises:
        ValueError: ``many`` has not more units than ``few``.
    """
    if many[0] <= few[0]:
        raise ValueError(f"many must have more units than few, got {many[0]} and {few[0]}.")
    return (many[1] - few[1]) / (many[0] - few[0])


@dataclass(frozen=True)
class Line:
    """A straight line through measurements.

    Attributes:
        slope: y a unit of x.
        intercept: y at x = 0.
        r_squared: share of y's variance that the line explains; 1 where all points lie on it.
    """

    slope: float
    intercept: float
    r_squared: float


def fit_line(x: Sequence[float], y: Sequence[float]) -> Line:
    """Fit a line by least squares.

    Args:
        x: at least two different values.
        y: the measurement at each.
    """
    slope, intercept = statistics.linear_regression(x, y)
    flat = min(y) == max(y)
    return Line(slope, intercept, 1.0 if flat else statistics.correlation(x, y) ** 2)

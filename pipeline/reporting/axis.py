"""The scale of a chart: from values to places in the picture, with round numbers as ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_ROUND_STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Axis:
    """A linear scale.

    Attributes:
        low: value at ``start``, a round number.
        high: value at ``end``, a round number.
        start: place of ``low`` in the picture.
        end: place of ``high``; below ``start`` on an axis that runs up.
        step: distance of two ticks.
    """

    low: float
    high: float
    start: float
    end: float
    step: float

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Place and text of each tick."""
        decimals = max(0, -math.floor(math.log10(self.step) + 1e-9))
        values = [self.low + index * self.step for index in range(round((self.high - self.low) / self.step) + 1)]
        return tuple((self.place(value), f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}")) for value in values)

    def place(self, value: float) -> float:
        """Return the place of a value, to a tenth of the picture's unit."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def axis_around(values: Iterable[float], start: float, end: float, num_steps: int = 5, min_step: float = 0.0) -> Axis:
    """Return an axis that holds all values.

    Args:
        values: those that are not finite are left out; of none at all the axis runs from 0 to 1.
        start: place of the lower end in the picture.
        end: place of the upper end.
        num_steps: about how many steps between ticks.
        min_step: least distance of ticks, such as 1 for what is counted.

    Returns:
        The axis; its ends are whole multiples of its step, which is 1, 2 or 5 times a power of ten.
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if high == low:
        low, high = low - 0.5, high + 0.5
    step = _round_step(max((high - low) / num_steps, min_step))
    # the small shift keeps 0.3 / 0.1, which is 2.9999..., from costing a step
    below, above = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Axis(below * step, above * step, start, end, step)


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return power * next(factor for factor in _ROUND_STEPS if factor * power >= raw * (1 - 1e-9))

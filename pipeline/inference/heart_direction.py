"""Which way the heart lies in the slices, and the quarter turns that bring it to the way that the network knows."""

from __future__ import annotations

import math

import numpy as np

from pipeline.labels import Structure

MIN_SHARE = 0.02
"""Of the heart's pixels that each ventricle must have for its center to be trusted."""


def rv_direction_degrees(heart: np.ndarray) -> float | None:
    """Return the direction from the left ventricle to the right one.

    Args:
        heart: labels of slices ``(B, X, Y)``.

    Returns:
        Angle from the x axis toward the y axis, above -180 and at most 180: 0 where the RV lies at higher x, 90 at
        higher y. None where a ventricle is missing or tiny, or both have one center.
    """
    right = heart == Structure.RV
    left = (heart == Structure.MYO) | (heart == Structure.LV)
    if min(right.sum(), left.sum()) < max(1, MIN_SHARE * (right.sum() + left.sum())):
        return None
    x, y = np.argwhere(right)[:, 1:].mean(axis=0) - np.argwhere(left)[:, 1:].mean(axis=0)
    return math.degrees(math.atan2(y, x)) if x or y else None


def quarter_turns(direction_degrees: float, usual_degrees: float, tolerance_degrees: float) -> int:
    """Return how often ``torch.rot90`` from x toward y must turn the slices for the RV to lie near its usual direction.

    Args:
        direction_degrees: where the RV lies.
        usual_degrees: where it lies in the training data, in the middle.
        tolerance_degrees: within so much to either side nothing is turned: the network knows it.

    Returns:
        0 to 3.
    """
    deviation = (direction_degrees - usual_degrees + 180) % 360 - 180
    if abs(deviation) <= tolerance_degrees:
        return 0
    return round(-deviation / 90) % 4

"""Contours drawn on an image, as text files and as masks.

A contour is a closed polygon in pixel coordinates: the center of the image's first pixel lies at (0, 0), the center of
the pixel in column ``x`` and row ``y`` at (x, y), and the last point joins the first.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

MIN_POINTS = 3


def read_contour(path: Path) -> NDArray[np.float64]:
    """Read a contour: a point a line, column and row in pixels, separated by white space.

    Args:
        path: text file.

    Returns:
        Points (x, y), shape ``(points, 2)``.

    Raises:
        InputError: the file cannot be read, holds something other than two finite numbers a line, or fewer than 3
            points.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        rows = [[float(number) for number in line.split()] for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"the contour cannot be read ({error})") from error
    wrong = next((row for row in rows if len(row) != 2 or not all(math.isfinite(number) for number in row)), None)
    if wrong is not None:
        raise InputError(f"a contour has two finite numbers a line, x and y, got {wrong}")
    if len(rows) < MIN_POINTS:
        raise InputError(f"a contour needs at least {MIN_POINTS} points, got {len(rows)}")
    return np.asarray(rows, dtype=np.float64)


def fill_contour(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels whose center lies within a contour.

    A center on the border is inside where the contour's interior lies to its right, or below it; so contours that share
    a border never share a pixel. Where a contour crosses itself, what it encloses twice is outside (even-odd rule).

    Args:
        points: (x, y) in pixels, shape ``(points, 2)``; they may lie outside the image.
        shape: number of columns and of rows.

    Returns:
        Mask of that shape, ``mask[x, y]``.
    """
    mask = np.zeros(shape, dtype=np.bool_)
    columns = np.arange(shape[0])[:, None]
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        rows = np.arange(max(math.ceil(min(y0, y1)), 0), min(math.ceil(max(y0, y1)), shape[1]))
        if len(rows):
            # A row that an edge crosses changes sides at every column from the crossing on.
            crossing = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
            mask[:, rows] ^= columns >= crossing
    return mask

"""Where the heart lies in the slices, and the window around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

Window = tuple[slice, slice]


@dataclass(frozen=True)
class WindowRule:
    """How large the window around a heart is, in pixels.

    Attributes:
        smallest: along x and y, that of the training; a larger heart gets a larger window.
        margin: between the heart and the window's border, at least.
        divisible_by: the size is rounded up to a multiple of it.
    """

    smallest: tuple[int, int]
    margin: int
    divisible_by: int

    def around(self, sides: Sequence[slice], limits: Sequence[int]) -> Window:
        """Return the window around a heart, inside the slice.

        Args:
            sides: the heart's extent along x and y.
            limits: size of the slice.
        """
        x, y = (
            _span(side, smallest, self.margin, self.divisible_by, limit)
            for side, smallest, limit in zip(sides, self.smallest, limits, strict=True)
        )
        return x, y

    def grown(self, window: Window, cut: Sequence[bool], limits: Sequence[int]) -> Window:
        """Return a larger window, by a quarter and, with the margin, a little more on the sides that cut the heart.

        Args:
            window: that cuts it.
            cut: on the low and high side of x and of y.
            limits: size of the slice.
        """
        sides = [
            slice(
                max(span.start - (span.stop - span.start) // 4, 0) if before else span.start + self.margin,
                min(span.stop + (span.stop - span.start) // 4, limit) if after else span.stop - self.margin,
            )
            for span, before, after, limit in zip(window, cut[::2], cut[1::2], limits, strict=True)
        ]
        return self.around(sides, limits)


def heart_box(heart: np.ndarray) -> tuple[slice, slice] | None:
    """Return the box of the heart.

    The heart is the piece of the stack's projection that most slices agree on, so that a false voxel far away moves
    nothing.

    Args:
        heart: mask of all slices ``(B, X, Y)``.

    Returns:
        Slices along x and y; None where there is no heart.
    """
    votes = heart.sum(axis=0)
    pieces, count = ndimage.label(votes > 0)
    if count == 0:
        return None
    largest = 1 + int(np.argmax(ndimage.sum_labels(votes, pieces, range(1, count + 1))))
    x, y = ndimage.find_objects(pieces)[largest - 1]
    return x, y


def _span(side: slice, smallest: int, margin: int, divisible_by: int, limit: int) -> slice:
    wanted = max(smallest, side.stop - side.start + 2 * margin)
    size = min(-(-wanted // divisible_by) * divisible_by, limit)
    start = min(max((side.start + side.stop - size) // 2, 0), limit - size)
    return slice(start, start + size)

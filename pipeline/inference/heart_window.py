"""A 2D network over the slices of a stack, in a window around the heart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from monai.utils import BlendMode, PytorchPadMode, ensure_tuple_rep
from scipy import ndimage

from pipeline.inference.inferer import SliceWindowInferer
from pipeline.inference.views import VIEW_COUNTS, mean_over_views


class HeartWindowInferer(SliceWindowInferer):
    """Finds the heart by sliding windows over whole slices, then predicts once more in a single window around it.

    The network was trained on windows of ``heart_size`` with the heart near their center. Windows that slide cut the
    heart into parts, and large ones dilute the average that ASPP's image pooling sees; one window around the heart is
    what the network knows. Outside of that window the first prediction stands.

    Args:
        roi_size: size of the sliding window along x and y; slices that fit into it go through the network whole.
        heart_size: smallest window around the heart, that of the training; a larger heart gets a larger window.
        sw_batch_size: windows, and slices of the second pass, that go through the network at once.
        overlap: overlap of neighboring windows, from 0 (none) to below 1.
        mode: how overlapping windows are blended, ``"constant"`` or ``"gaussian"``.
        margin: pixels between the heart and the border of its window, at least.
        divisible_by: sizes are padded or rounded up to multiples of it; the product of the network's strides.
        padding_mode: how a slice that is too small is padded, see ``torch.nn.functional.pad``.
        cval: value of the padding in mode ``"constant"``.
        progress: show a progress bar over the windows.
        neighbors: slices to either side that each slice is given as channels, see ``transforms.neighbor_slices``.
        views: of the window around the heart, whose mean is taken: 1, 4 or 8, see :func:`mean_over_views`.

    Raises:
        ValueError: a size, ``sw_batch_size``, ``overlap``, ``margin``, ``divisible_by`` or ``views`` is out of its range.
    """

    def __init__(
        self,
        roi_size: Sequence[int] | int,
        heart_size: Sequence[int] | int,
        sw_batch_size: int = 1,
        overlap: float = 0.25,
        mode: BlendMode | str = BlendMode.CONSTANT,
        margin: int = 12,
        divisible_by: int = 8,
        padding_mode: PytorchPadMode | str = PytorchPadMode.CONSTANT,
        cval: float = 0.0,
        progress: bool = False,
        neighbors: int = 0,
        views: int = 1,
    ) -> None:
        super().__init__(roi_size, sw_batch_size, overlap, mode, padding_mode, cval, progress, divisible_by, neighbors)
        self.heart_size: tuple[int, int] = ensure_tuple_rep(heart_size, 2)
        if min(self.heart_size) < 1:
            raise ValueError(f"heart_size must be positive, got {self.heart_size}.")
        if margin < 0:
            raise ValueError(f"margin must not be negative, got {margin}.")
        if views not in VIEW_COUNTS:
            raise ValueError(f"views must be one of {VIEW_COUNTS}, got {views}.")
        self.margin = margin
        self.views = views

    def _predict(self, slices: torch.Tensor, predictor: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        size = slices.shape[2:]
        missing = [max(smallest - n, 0) for n, smallest in zip(size, self.heart_size, strict=True)]
        low = [n // 2 for n in missing]
        padding = (low[1], missing[1] - low[1], low[0], missing[0] - low[0])
        padded = F.pad(slices, padding, mode=self.padding_mode, value=self.cval)
        predicted = super()._predict(padded, predictor)
        heart = predicted.argmax(dim=1).cpu().numpy() > 0
        window = heart_window(heart, self.heart_size, self.margin, self.divisible_by or 1)
        if window is not None:
            around = (slice(None), slice(None), *window)
            predicted[around] = torch.cat(
                [mean_over_views(batch, predictor, self.views) for batch in self._batches(padded[around])]
            )
        return predicted[:, :, low[0] : low[0] + size[0], low[1] : low[1] + size[1]]


def heart_window(
    heart: np.ndarray, smallest_size: Sequence[int], margin: int, divisible_by: int
) -> tuple[slice, slice] | None:
    """Return the window around the heart.

    The heart is the piece of the stack's projection that most slices agree on, so that a false voxel far away moves
    nothing.

    Args:
        heart: mask of all slices ``(B, X, Y)``.
        smallest_size: of the window, in pixels.
        margin: pixels around the heart.
        divisible_by: the window's size is a multiple of it where the slice has room.

    Returns:
        Slices along x and y; None where there is no heart, or where the window would be the whole slice.
    """
    votes = heart.sum(axis=0)
    pieces, count = ndimage.label(votes > 0)
    if count == 0:
        return None
    largest = 1 + int(np.argmax(ndimage.sum_labels(votes, pieces, range(1, count + 1))))
    box = ndimage.find_objects(pieces)[largest - 1]
    limits = heart.shape[1:]
    window = [
        _span(side, smallest, margin, divisible_by, limit)
        for side, smallest, limit in zip(box, smallest_size, limits, strict=True)
    ]
    if all(span.stop - span.start == limit for span, limit in zip(window, limits, strict=True)):
        return None
    return window[0], window[1]


def _span(side: slice, smallest: int, margin: int, divisible_by: int, limit: int) -> slice:
    wanted = max(smallest, side.stop - side.start + 2 * margin)
    size = min(-(-wanted // divisible_by) * divisible_by, limit)
    start = min(max((side.start + side.stop - size) // 2, 0), limit - size)
    return slice(start, start + size)

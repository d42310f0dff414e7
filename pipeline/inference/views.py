"""Test-time augmentation: the mean prediction over turned and mirrored views of a window."""

from __future__ import annotations

from collections.abc import Callable

import torch

VIEW_COUNTS = (1, 4, 8)
"""One view; the four quarter turns; these and their mirror images: all symmetries of the square."""


def mean_over_views(
    windows: torch.Tensor, predictor: Callable[[torch.Tensor], torch.Tensor], views: int
) -> torch.Tensor:
    """Predict each view, turn the prediction back, and average the probabilities.

    Quarter turns and mirror images need no interpolation. They help a network that was trained on all of them.

    Args:
        windows: ``(B, C, X, Y)``.
        predictor: maps ``(B, C, X, Y)`` to logits ``(B, K, X, Y)``, of either orientation.
        views: 1, 4 (quarter turns) or 8 (mirrored too).

    Returns:
        ``(B, K, X, Y)``: logits of the mean probabilities (up to a constant a pixel); with one view the network's own.

    Raises:
        ValueError: ``views`` is another number.
    """
    if views not in VIEW_COUNTS:
        raise ValueError(f"views must be one of {VIEW_COUNTS}, got {views}.")
    if views == 1:
        return predictor(windows)
    total = torch.zeros(())
    for view in range(views):
        turned = windows.flip(3) if view >= 4 else windows
        predicted = predictor(turned.rot90(view % 4, (2, 3)).contiguous()).softmax(dim=1)
        back = predicted.rot90(-(view % 4), (2, 3))
        total = total + (back.flip(3) if view >= 4 else back)
    return (total / views).clamp_min(torch.finfo(total.dtype).tiny).log()

"""How large the window around the heart is that a network predicts in."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

SHARE = 7 / 8
"""Of the training's window: the augmentation showed the network hearts that fill more of it. Measured on the five folds
of ACDC, see docs/experiments.md."""


def heart_size(roi_size: Sequence[int], network: nn.Module) -> list[int]:
    """Return the smallest window around the heart for a network that was trained on windows of ``roi_size``.

    Args:
        roi_size: pixels along x and y.
        network: whose ``min_spatial_size``, where it tells one, the window does not fall below.

    Returns:
        Pixels along x and y, at most those of the training where the network allows it.
    """
    smallest = getattr(network, "min_spatial_size", None) or [1] * len(roi_size)
    return [max(round(size * SHARE), least) for size, least in zip(roi_size, smallest, strict=True)]

"""Test-time augmentation: the mean prediction over views of a window that are turned by some angles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

Predictor = Callable[[torch.Tensor], torch.Tensor]


def mean_over_views(windows: torch.Tensor, predictor: Predictor, degrees: Sequence[float] = (0.0,)) -> torch.Tensor:
    """Predict each view, turn the prediction back, and average the probabilities.

    Small angles help any network that was trained on rotations; quarter turns, which need no interpolation, only one
    that was trained on all orientations. Each view costs what the prediction costs.

    Args:
        windows: ``(B, C, X, Y)``.
        predictor: maps ``(B, C, X, Y)`` to logits ``(B, K, X, Y)``, of either orientation.
        degrees: angle of each view, from the x axis toward the y axis; 0 is the window itself.

    Returns:
        ``(B, K, X, Y)``: logits of the mean probabilities (up to a constant a pixel); of the window itself alone the
        network's own.

    Raises:
        ValueError: there is no angle.
    """
    if not degrees:
        raise ValueError("degrees must have the angle of at least one view, such as 0.")
    if list(degrees) == [0]:
        return predictor(windows)
    mean = torch.zeros(())
    for angle in degrees:
        seen = predictor(turned_by(windows, angle).contiguous()).softmax(dim=1)
        mean = mean + turned_by(seen, -angle) / len(degrees)
    return mean.clamp_min(torch.finfo(mean.dtype).tiny).log()


def turned_by(images: torch.Tensor, degrees: float) -> torch.Tensor:
    """Turn images about their center.

    Args:
        images: ``(B, C, X, Y)``.
        degrees: from the x axis toward the y axis. Multiples of 90 move pixels, and exchange the sizes of X and Y at
            odd ones; other angles interpolate and keep the size. Beyond the border its pixels are repeated.
    """
    if degrees % 90 == 0:
        return images.rot90(round(degrees / 90), (2, 3))
    height, width = images.shape[2:]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # where each pixel comes from, y before x; the axes of affine_grid have the length 2 whatever their pixels
    matrix = torch.tensor([[cos, -sin * height / width, 0.0], [sin * width / height, cos, 0.0]])
    places = F.affine_grid(matrix.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, places.to(images), mode="bilinear", padding_mode="border", align_corners=False)

"""Other contrasts of a scan, in which a network may know a heart that it does not know as it is."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from pipeline.transforms.batch.tone_curve import map_through_curves

AS_IT_IS = "as it is"
INVERTED = "inverted"

TONES: Mapping[str, tuple[float, ...]] = {
    "brighter": (0.0, 0.5, 0.71, 0.87, 1.0),
    "darker": (0.0, 0.06, 0.25, 0.56, 1.0),
    "lower half": (0.0, 0.5, 1.0, 1.0, 1.0),
    "upper half": (0.0, 0.0, 0.0, 0.5, 1.0),
    INVERTED: (1.0, 0.75, 0.5, 0.25, 0.0),
    "inverted, brighter": (1.0, 0.87, 0.71, 0.5, 0.0),
    "inverted, darker": (1.0, 0.56, 0.25, 0.06, 0.0),
    "inverted lower half": (1.0, 0.5, 0.0, 0.0, 0.0),
    "inverted upper half": (1.0, 1.0, 1.0, 0.5, 0.0),
    "middle bright": (0.0, 0.5, 1.0, 0.5, 0.0),
    "middle dark": (1.0, 0.5, 0.0, 0.5, 1.0),
}
"""Name to the new intensities of 0, 1/4, 1/2, 3/4 and 1: roots and squares, windows, their inversions, and two curves
that make tissues of different intensity alike."""


def in_tone(images: torch.Tensor, tone: str) -> torch.Tensor:
    """Return images in another contrast.

    Args:
        images: ``(N, ...)``, scaled to [0, 1].
        tone: one of ``TONES``, or ``AS_IT_IS``.
    """
    if tone == AS_IT_IS:
        return images
    curve = torch.tensor(TONES[tone], dtype=images.dtype, device=images.device)
    return map_through_curves(images, curve.expand(len(images), -1))

"""Puts the slices above and below beside each slice, so that a 2D network sees where in the heart it is."""

from __future__ import annotations

import torch


def neighbor_slices(volume: torch.Tensor, neighbors: int) -> torch.Tensor:
    """Return each slice with its neighbors as channels.

    At the ends of the stack the last slice stands in for those that lie beyond it.

    Args:
        volume: ``(..., C, X, Y, Z)``, the slices along the last axis.
        neighbors: slices to either side.

    Returns:
        ``(..., C * (1 + 2 * neighbors), X, Y, Z)``: the slices from ``-neighbors`` to ``+neighbors``, each with its
        channels; the slice itself in the middle.

    Raises:
        ValueError: ``neighbors`` is negative.
    """
    if neighbors < 0:
        raise ValueError(f"neighbors must not be negative, got {neighbors}.")
    if neighbors == 0:
        return volume
    places = torch.arange(volume.shape[-1], device=volume.device)
    last = volume.shape[-1] - 1
    shifted = [volume[..., (places + step).clamp(0, last)] for step in range(-neighbors, neighbors + 1)]
    return torch.cat(shifted, dim=-4)

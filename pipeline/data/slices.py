"""Cuts preprocessed volumes into windows of single slices, the samples that a 2D network trains on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.transforms import Randomizable
from torch.utils.data import Dataset

from pipeline.errors import InputError


class SliceDataset(Randomizable, Dataset):
    """Every slice of every volume once, as a window at a random place around the heart.

    Args:
        volumes: a dataset of dictionaries with ``image`` and ``label``, both ``(1, X, Y, Z)``, one spacing.
        window_size: of the windows, in pixels along X and Y. Where a slice ends the window is filled with 0.
        jitter: largest distance of the window's center from the center of the labels, in pixels along each axis.
        anywhere_prob: probability that the window is centered anywhere in the slice, so that the network also learns
            what lies far from the heart.
        neighbors: slices to either side that the image gets as channels, see ``transforms.neighbor_slices``.

    Raises:
        InputError: no label has a structure.
        ValueError: ``volumes`` is empty, or ``neighbors`` is negative.
    """

    def __init__(
        self,
        volumes: Sequence[dict[str, Any]] | Dataset,
        window_size: Sequence[int],
        jitter: int = 16,
        anywhere_prob: float = 0.1,
        neighbors: int = 0,
    ) -> None:
        if neighbors < 0:
            raise ValueError(f"neighbors must not be negative, got {neighbors}.")
        self.neighbors = neighbors
        self.volumes = volumes
        self.window_size = (int(window_size[0]), int(window_size[1]))
        self.jitter = jitter
        self.anywhere_prob = anywhere_prob
        self.index: list[tuple[int, int]] = []
        self.centers: list[np.ndarray] = []
        any_label = False
        for volume in range(len(volumes)):  # type: ignore[arg-type]
            label = volumes[volume]["label"]
            self.centers.append(label_center(label))
            any_label = any_label or bool(_plain(label).any())
            self.index += [(volume, position) for position in range(label.shape[-1])]
        if not self.index:
            raise ValueError("volumes must hold at least one slice, got none.")
        if not any_label:
            raise InputError(
                f"none of the {len(self.centers)} volumes to train on has a structure in its label: there is only "
                "background to learn. Check the label files and --label_map (`python -m pipeline data check DIR`)."
            )

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self.index)

    def __getitem__(self, i: int) -> dict[str, Any]:
        """Return ``image`` ``(1 + 2 * neighbors, *window_size)`` and ``label`` ``(1, *window_size)`` of one slice.

        Where the volume has a ``case_id`` it goes along, so that a batch can be named.
        """
        volume, position = self.index[i]
        item = self.volumes[volume]
        shape = np.array(item["label"].shape[1:3])
        start = self._draw_center(self.centers[volume], shape) - np.array(self.window_size) // 2
        stack, label = (_plain(item[key]) for key in ("image", "label"))
        # the end of the stack stands in for what lies beyond it, as in transforms.neighbor_slices
        places = range(position - self.neighbors, position + self.neighbors + 1)
        image = torch.cat([stack[..., min(max(place, 0), stack.shape[-1] - 1)] for place in places])
        slices = {"image": image, "label": label[..., position]}
        window = {key: cut_window(slice_, start, self.window_size) for key, slice_ in slices.items()}
        return window | {key: item[key] for key in ("case_id",) if key in item}

    def _draw_center(self, center: np.ndarray, shape: np.ndarray) -> np.ndarray:
        if self.R.random_sample() < self.anywhere_prob:
            return self.R.randint(0, shape)
        return center + self.R.randint(-self.jitter, self.jitter + 1, size=2)


def label_center(label: torch.Tensor) -> np.ndarray:
    """Return the in-plane center of the labels' bounding box in a volume ``(1, X, Y, Z)``.

    The volume's own center stands in where it has no labels.
    """
    in_plane = _plain(label)[0].amax(dim=-1) > 0
    center = []
    for axis in (0, 1):
        occupied = torch.nonzero(in_plane.any(dim=1 - axis)).flatten()
        bounds = (int(occupied[0]), int(occupied[-1])) if len(occupied) else (0, in_plane.shape[axis] - 1)
        center.append((bounds[0] + bounds[1]) // 2)
    return np.array(center)


def cut_window(image: torch.Tensor, start: np.ndarray, size: Sequence[int]) -> torch.Tensor:
    """Cut ``size`` pixels from ``(C, X, Y)`` beginning at ``start``, which may lie outside; what lies outside is 0."""
    low = [max(int(s), 0) for s in start]
    high = [min(int(s) + n, limit) for s, n, limit in zip(start, size, image.shape[1:], strict=True)]
    part = image[:, low[0] : max(high[0], low[0]), low[1] : max(high[1], low[1])]
    before = [min(low[a] - int(start[a]), size[a]) for a in (0, 1)]
    after = [size[a] - before[a] - part.shape[a + 1] for a in (0, 1)]
    return F.pad(part, [before[1], after[1], before[0], after[0]]).contiguous()


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    # indexing a MetaTensor copies its metadata, which takes longer than the cut itself
    return tensor.as_tensor() if hasattr(tensor, "as_tensor") else tensor

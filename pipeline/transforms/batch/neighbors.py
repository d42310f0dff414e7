"""Random disturbance of the neighbor slices that a slice is seen with."""

from __future__ import annotations

import numpy as np
import torch
from monai.config import KeysCollection

from pipeline.transforms.batch.base import RandBatchTransform, RandBatchTransformd


class RandNeighborsBatch(RandBatchTransform):
    """Swaps, moves or takes away the neighbors of the middle channel.

    Stacks run from base to apex or back, breathing shifts their slices, and a single picture has no neighbors: a
    network that saw perfect neighbors alone would lean on them.

    Args:
        prob: probability that neighbors of a sample are moved, each by its own whole pixels.
        shift: largest move along each axis, in pixels.
        drop_prob: probability that all neighbors become the slice itself, as in a stack of one slice.
        swap_prob: probability that the order of the slices is reversed.

    Raises:
        ValueError: a probability is not in [0, 1], or ``shift`` is negative.
    """

    def __init__(self, prob: float = 0.2, shift: int = 4, drop_prob: float = 0.1, swap_prob: float = 0.5) -> None:
        super().__init__(prob)
        for name, value in (("drop_prob", drop_prob), ("swap_prob", swap_prob)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {value}.")
        if shift < 0:
            raise ValueError(f"shift must not be negative, got {shift}.")
        self.shift, self.drop_prob, self.swap_prob = shift, drop_prob, swap_prob

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Return a changed copy of a batch ``(B, C, H, W)``, C odd: the slice itself in the middle."""
        middle = image.shape[1] // 2
        moved = super().__call__(image)
        changed = moved.clone() if moved is image else moved
        for sample in np.flatnonzero(self.R.random_sample(len(image)) < self.swap_prob):
            changed[sample] = changed[sample].flip(0)
        for sample in np.flatnonzero(self.R.random_sample(len(image)) < self.drop_prob):
            changed[sample] = image[sample, middle]
        return changed

    def change(self, image: torch.Tensor) -> torch.Tensor:
        """See the base class."""
        changed = image.clone()
        for sample in range(image.shape[0]):
            for channel in range(image.shape[1]):
                if channel != image.shape[1] // 2:
                    by = tuple(int(n) for n in self.R.randint(-self.shift, self.shift + 1, size=2))
                    changed[sample, channel] = image[sample, channel].roll(by, (0, 1))
        return changed


class RandNeighborsBatchd(RandBatchTransformd):
    """Dictionary form of ``RandNeighborsBatch``."""

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.2,
        shift: int = 4,
        drop_prob: float = 0.1,
        swap_prob: float = 0.5,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandNeighborsBatch(prob, shift, drop_prob, swap_prob), allow_missing_keys)

"""What the batch transforms share: one random choice a sample, one tensor operation a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable


class RandBatchTransform(Randomizable, ABC):
    """Changes the intensities of a random part of a batch.

    Augmenting sample by sample costs more than the network on a CPU: each of MONAI's random transforms takes about a
    millisecond for a slice. One operation for the whole batch costs a tenth, and runs on the GPU where the batch is
    there. Values are expected in [0, 1], the range that the preprocessing gives.

    Args:
        prob: probability that a sample is changed, in [0, 1].

    Raises:
        ValueError: ``prob`` is not in [0, 1].
    """

    def __init__(self, prob: float) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"prob must be in [0, 1], got {prob}.")
        self.prob = prob

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Return a changed copy of a batch ``(B, C, H, W)``, float; samples that are not drawn stay as they are."""
        chosen = np.flatnonzero(self.R.random_sample(image.shape[0]) < self.prob)
        if chosen.size == 0:
            return image
        index = torch.as_tensor(chosen, device=image.device)
        return image.index_copy(0, index, self.change(image[index]))

    @abstractmethod
    def change(self, image: torch.Tensor) -> torch.Tensor:
        """Return the changed samples, all of them: ``(N, C, H, W)`` to ``(N, C, H, W)``."""

    def uniform(self, low: float, high: float, image: torch.Tensor) -> torch.Tensor:
        """Draw one number a sample, shaped ``(N, 1, 1, 1)`` to broadcast over the image."""
        drawn = self.R.uniform(low, high, size=(image.shape[0], 1, 1, 1))
        return torch.as_tensor(drawn, dtype=image.dtype, device=image.device)

    def normal(self, shape: tuple[int, ...], image: torch.Tensor) -> torch.Tensor:
        """Draw a standard normal field by a generator that ``set_random_state`` governs."""
        generator = torch.Generator().manual_seed(int(self.R.randint(2**31 - 1)))
        return torch.randn(shape, generator=generator, dtype=image.dtype).to(image.device)


class RandBatchTransformd(Randomizable, MapTransform):
    """Applies a batch transform to keys of a dictionary; with several keys each draws anew.

    Args:
        keys: of the batches ``(B, C, H, W)``.
        transform: the array transform.
        allow_missing_keys: whether a missing key is passed over.
    """

    def __init__(self, keys: KeysCollection, transform: RandBatchTransform, allow_missing_keys: bool = False) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.transform = transform

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> RandBatchTransformd:
        """Seed the transform inside (MONAI's contract)."""
        super().set_random_state(seed, state)
        self.transform.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with the batches of ``keys`` changed."""
        changed = dict(data)
        for key in self.key_iterator(changed):
            changed[key] = self.transform(changed[key])
        return changed


def ordered(name: str, bounds: tuple[float, float] | list[float], low: float) -> tuple[float, float]:
    """Return a range as two floats.

    Raises:
        ValueError: the range is not two rising numbers of at least ``low``.
    """
    if len(bounds) != 2 or not low <= bounds[0] <= bounds[1]:
        raise ValueError(f"{name} must be two rising numbers of at least {low}, got {bounds}.")
    return float(bounds[0]), float(bounds[1])

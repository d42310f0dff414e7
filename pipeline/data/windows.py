"""Windows cut at random from volumes, by MONAI's own transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from monai.data import Dataset
from monai.transforms import Compose, Randomizable


class WindowDataset(Dataset, Randomizable):
    """A MONAI ``Dataset`` whose random transforms can be seeded, as ``SeedEachEpoch`` does for an exact resume.

    Args:
        data: items, such as the volumes of ``cache_dataset``.
        transform: what cuts and augments a window of an item.
    """

    def __init__(self, data: Sequence[Any], transform: Compose) -> None:
        super().__init__(data, transform)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> WindowDataset:
        """Seed all random transforms."""
        self.transform.set_random_state(seed, state)
        return self

    def randomize(self, data: Any) -> None:
        """Draw nothing: the transforms do."""

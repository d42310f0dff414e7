"""Makes every image a volume of one channel, so that one pipeline serves stacks and single pictures."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Transform

COLOR_CHANNELS = (3, 4)


class EnsureVolume(Transform):
    """Turns a channel-first picture ``(C, X, Y)`` into a volume of one slice ``(1, X, Y, 1)``; volumes pass unchanged.

    A color picture (RGB, RGBA) becomes the mean of its three colors, since MR images have none.
    """

    def __call__(self, img: torch.Tensor) -> torch.Tensor:
        """Return ``(C, X, Y, Z)``, float for pictures in color."""
        if img.ndim != 3:
            return img
        if img.shape[0] in COLOR_CHANNELS:
            img = img[:3].float().mean(dim=0, keepdim=True)
        return img.unsqueeze(-1)


class EnsureVolumed(MapTransform):
    """Dictionary form of ``EnsureVolume``."""

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.transform = EnsureVolume()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with volumes."""
        changed = dict(data)
        for key in self.key_iterator(changed):
            changed[key] = self.transform(changed[key])
        return changed

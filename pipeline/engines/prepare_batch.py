"""Augments each training batch as one tensor, on the device, before the network sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from monai.engines import PrepareBatch
from monai.utils.enums import CommonKeys as Keys


class PrepareAugmentedBatch(PrepareBatch):
    """``prepare_batch`` of MONAI's ``SupervisedTrainer`` that moves the batch to the device and augments it there.

    Args:
        augmentation: a dictionary transform, or MONAI's ``Compose`` of several, that takes the whole batch
            ``{"image": (B, C, H, W), "label": (B, 1, H, W)}``.
    """

    def __init__(self, augmentation: Callable[[dict[str, torch.Tensor]], Mapping[Any, Any]]) -> None:
        self.augmentation = augmentation

    def __call__(
        self,
        batchdata: dict[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image and label, augmented, on ``device``."""
        batch = {
            key.value: batchdata[key].to(device=device, non_blocking=non_blocking, **kwargs)
            for key in (Keys.IMAGE, Keys.LABEL)
        }
        augmented = self.augmentation(batch)
        return augmented[Keys.IMAGE], augmented[Keys.LABEL]

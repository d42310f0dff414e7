"""Random brightness and contrast."""

from __future__ import annotations

import torch
from monai.config import KeysCollection

from pipeline.transforms.batch.base import RandBatchTransform, RandBatchTransformd, ordered


class RandContrastBatch(RandBatchTransform):
    """Scales intensities around the mean of each sample and shifts them.

    Args:
        prob: probability that a sample is changed.
        contrast: range of the factor on the distance from the sample's mean.
        brightness: largest shift to either side, in units of the intensity range [0, 1].

    Raises:
        ValueError: ``contrast`` is not two rising numbers of at least 0, or ``brightness`` is below 0.
    """

    def __init__(self, prob: float = 0.3, contrast: tuple[float, float] = (0.7, 1.4), brightness: float = 0.15) -> None:
        super().__init__(prob)
        self.contrast = ordered("contrast", contrast, low=0)
        if brightness < 0:
            raise ValueError(f"brightness must be at least 0, got {brightness}.")
        self.brightness = brightness

    def change(self, image: torch.Tensor) -> torch.Tensor:
        """See the base class."""
        mean = image.mean(dim=(1, 2, 3), keepdim=True)
        factor = self.uniform(*self.contrast, image)
        shift = self.uniform(-self.brightness, self.brightness, image)
        return (image - mean) * factor + mean + shift


class RandContrastBatchd(RandBatchTransformd):
    """Dictionary form of ``RandContrastBatch``."""

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.3,
        contrast: tuple[float, float] = (0.7, 1.4),
        brightness: float = 0.15,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandContrastBatch(prob, contrast, brightness), allow_missing_keys)

"""Random Rician noise, the noise of magnitude MR images."""

from __future__ import annotations

import torch
from monai.config import KeysCollection

from pipeline.transforms.batch.base import RandBatchTransform, RandBatchTransformd, ordered


class RandNoiseBatch(RandBatchTransform):
    """Adds Gaussian noise to the real and the imaginary channel and takes the magnitude.

    Args:
        prob: probability that a sample is changed.
        std: range of the standard deviation in each channel, in units of the intensity range [0, 1].

    Raises:
        ValueError: ``std`` is not two rising numbers of at least 0.

    Source:
        Gudbjartsson and Patz, The Rician Distribution of Noisy MRI Data, Magn Reson Med 34(6):910-914, 1995.
    """

    def __init__(self, prob: float = 0.3, std: tuple[float, float] = (0.0, 0.08)) -> None:
        super().__init__(prob)
        self.std = ordered("std", std, low=0)

    def change(self, image: torch.Tensor) -> torch.Tensor:
        """See the base class."""
        std = self.uniform(*self.std, image)
        real, imaginary = self.normal((2, *image.shape), image)
        return torch.hypot(image + std * real, std * imaginary)


class RandNoiseBatchd(RandBatchTransformd):
    """Dictionary form of ``RandNoiseBatch``."""

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.3,
        std: tuple[float, float] = (0.0, 0.08),
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandNoiseBatch(prob, std), allow_missing_keys)

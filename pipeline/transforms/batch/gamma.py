"""Random gamma curves, plain and on the inverted image."""

from __future__ import annotations

import torch
from monai.config import KeysCollection

from pipeline.transforms.batch.base import RandBatchTransform, RandBatchTransformd, ordered


class RandGammaBatch(RandBatchTransform):
    """Raises intensities in [0, 1] to a random power, for half of the samples from the bright end.

    Args:
        prob: probability that a sample is changed.
        gamma: range of the exponent, drawn log-uniformly so that 0.5 is as likely as 2.

    Raises:
        ValueError: ``gamma`` is not two rising positive numbers.
    """

    def __init__(self, prob: float = 0.3, gamma: tuple[float, float] = (0.6, 1.7)) -> None:
        super().__init__(prob)
        self.gamma = ordered("gamma", gamma, low=1e-3)

    def change(self, image: torch.Tensor) -> torch.Tensor:
        """See the base class."""
        low, high = (float(torch.log(torch.tensor(g))) for g in self.gamma)
        exponent = self.uniform(low, high, image).exp()
        from_bright = self.uniform(0, 1, image) < 0.5
        base = torch.where(from_bright, 1 - image, image).clamp(0, 1)
        curved = base.pow(exponent)
        return torch.where(from_bright, 1 - curved, curved)


class RandGammaBatchd(RandBatchTransformd):
    """Dictionary form of ``RandGammaBatch``."""

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.3,
        gamma: tuple[float, float] = (0.6, 1.7),
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandGammaBatch(prob, gamma), allow_missing_keys)

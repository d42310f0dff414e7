"""Random smooth shading, as surface coils leave it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.config import KeysCollection

from pipeline.transforms.batch.base import RandBatchTransform, RandBatchTransformd, ordered


class RandBiasFieldBatch(RandBatchTransform):
    """Multiplies the image by a smooth field that is positive everywhere.

    The field is the exponential of a bicubic surface through a coarse grid of normal numbers.

    Args:
        prob: probability that a sample is changed.
        strength: range of the standard deviation of the field's logarithm; 0.3 shades by about 30 %.
        grid_size: nodes of the coarse grid along each axis, at least 2.

    Raises:
        ValueError: ``strength`` is not two rising numbers of at least 0, or ``grid_size`` is below 2.
    """

    def __init__(self, prob: float = 0.3, strength: tuple[float, float] = (0.0, 0.4), grid_size: int = 4) -> None:
        super().__init__(prob)
        self.strength = ordered("strength", strength, low=0)
        if grid_size < 2:
            raise ValueError(f"grid_size must be at least 2, got {grid_size}.")
        self.grid_size = grid_size

    def change(self, image: torch.Tensor) -> torch.Tensor:
        """See the base class."""
        nodes = self.normal((image.shape[0], 1, self.grid_size, self.grid_size), image)
        surface = F.interpolate(nodes, size=image.shape[2:], mode="bicubic", align_corners=True)
        return image * (surface * self.uniform(*self.strength, image)).exp()


class RandBiasFieldBatchd(RandBatchTransformd):
    """Dictionary form of ``RandBiasFieldBatch``."""

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.3,
        strength: tuple[float, float] = (0.0, 0.4),
        grid_size: int = 4,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandBiasFieldBatch(prob, strength, grid_size), allow_missing_keys)

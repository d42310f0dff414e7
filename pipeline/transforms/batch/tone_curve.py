"""Random tone curves: contrasts that keep or invert the order of the tissues, and some that do neither."""

from __future__ import annotations

import numpy as np
import torch
from monai.config import KeysCollection

from pipeline.transforms.batch.base import RandBatchTransform, RandBatchTransformd


class RandToneCurveBatch(RandBatchTransform):
    """Maps intensities through a random piecewise linear curve over [0, 1].

    Blood is bright in bSSFP, dark in some other sequences, and late enhancement inverts the myocardium: a network that
    shall hold on contrasts that it never saw must lean on shapes. The idea is that of Billot et al., SynthSeg, Medical
    Image Analysis 2023, for intensities alone.

    Args:
        prob: probability that a sample is changed.
        points: control points of the curve, at least 2.
        invert_prob: probability that the curve falls.
        free_prob: probability that the curve's values are drawn without order, so that tissues change places.

    Raises:
        ValueError: a probability is not in [0, 1], or ``points`` is below 2.
    """

    def __init__(self, prob: float = 0.3, points: int = 5, invert_prob: float = 0.2, free_prob: float = 0.0) -> None:
        super().__init__(prob)
        for name, value in (("invert_prob", invert_prob), ("free_prob", free_prob)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {value}.")
        if points < 2:
            raise ValueError(f"points must be at least 2, got {points}.")
        self.points, self.invert_prob, self.free_prob = points, invert_prob, free_prob

    def change(self, image: torch.Tensor) -> torch.Tensor:
        """See the base class."""
        curves = torch.as_tensor(self._draw_curves(len(image)), dtype=image.dtype, device=image.device)
        return map_through_curves(image, curves)

    def _draw_curves(self, samples: int) -> np.ndarray:
        """Return the values at the control points ``(samples, points)``, from 0 to 1 each."""
        values = np.sort(self.R.random_sample((samples, self.points)), axis=1)
        free = self.R.random_sample(samples) < self.free_prob
        values[free] = _shuffled(self.R, values[free])
        falling = self.R.random_sample(samples) < self.invert_prob
        values[falling] = 1 - values[falling]
        low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
        return (values - low) / np.maximum(high - low, 1e-6)


def map_through_curves(image: torch.Tensor, curves: torch.Tensor) -> torch.Tensor:
    """Map intensities through piecewise linear curves.

    Args:
        image: ``(B, ...)``; below 0 and above 1 the curves' ends hold.
        curves: ``(B, points)``, the new intensities of ``points`` old ones, evenly spaced from 0 to 1.

    Returns:
        The shape of the image.
    """
    last = curves.shape[1] - 1
    place = image.clamp(0, 1) * last
    left = place.floor().clamp(max=last - 1)
    index = left.long().flatten(1)
    low, high = curves.gather(1, index).view_as(image), curves.gather(1, index + 1).view_as(image)
    return low + (high - low) * (place - left)


def _shuffled(generator: np.random.RandomState, rows: np.ndarray) -> np.ndarray:
    order = generator.random_sample(rows.shape).argsort(axis=1)
    return np.take_along_axis(rows, order, axis=1)


class RandToneCurveBatchd(RandBatchTransformd):
    """Dictionary form of ``RandToneCurveBatch``."""

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.3,
        points: int = 5,
        invert_prob: float = 0.2,
        free_prob: float = 0.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandToneCurveBatch(prob, points, invert_prob, free_prob), allow_missing_keys)

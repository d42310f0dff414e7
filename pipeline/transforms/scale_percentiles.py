"""Scales intensities between two percentiles of the image itself."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any, cast

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform
from numpy.typing import NDArray

SAMPLE = 20_000
"""Values that a tail is judged by."""
TAIL_MARGIN = 0.01
"""Share of the values by which a tail is taken too large: several standard errors of the sample's percentiles."""


class ScaleIntensityPercentiles(Transform):
    """Maps the lower percentile to 0, the upper one to 1, and clips what lies beyond, channel by channel.

    The same numbers as MONAI's ``ScaleIntensityRangePercentiles`` gives with ``b_min=0``, ``b_max=1``, ``clip=True``
    and ``channel_wise=True``, to within 2e-7. MONAI sorts the whole image; here only its tails are searched.

    Args:
        lower: percentile that becomes 0, in [0, 100].
        upper: percentile that becomes 1, above ``lower``.

    Raises:
        ValueError: the percentiles are not rising, or not in [0, 100].
    """

    def __init__(self, lower: float = 1.0, upper: float = 99.0) -> None:
        if not 0 <= lower < upper <= 100:
            raise ValueError(f"lower and upper must be rising and in [0, 100], got {lower} and {upper}.")
        self.percentiles = (lower, upper)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Scale one image.

        Args:
            image: ``(C, *spatial)``; the phases of a cine are channels.

        Returns:
            The same shape, float32, in [0, 1]. Where both percentiles are equal they are mapped to 0.
        """
        plain = image.as_tensor() if isinstance(image, MetaTensor) else image
        scaled = plain.to(torch.float32, copy=True)
        for channel in scaled:
            self._scale(channel)
        return cast(torch.Tensor, MetaTensor(scaled).copy_meta_from(image)) if isinstance(image, MetaTensor) else scaled

    def _scale(self, channel: torch.Tensor) -> None:
        values = channel.cpu().numpy().ravel()
        low, high = (percentile(values, percent) for percent in self.percentiles)
        channel -= low
        if high > low:
            channel /= high - low
        channel.clamp_(0.0, 1.0)


def percentile(values: NDArray[np.float32], percent: float) -> float:
    """Return what ``np.percentile`` does, from the tail that it lies in.

    A sample says where the tail ends, somewhat beyond the percentile; the tail has few values to part. Where the
    sample misjudged it, the whole is searched.

    Args:
        values: of an image, one axis, all of them finite.
        percent: in [0, 100].
    """
    if percent > 50:
        return -percentile(-values, 100 - percent)
    place = (len(values) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(values) - 1)
    sample = np.sort(values[np.linspace(0, len(values) - 1, min(SAMPLE, len(values))).astype(np.int64)])
    tail = values[values <= sample[min(math.ceil(len(sample) * (percent / 100 + TAIL_MARGIN)), len(sample) - 1)]]
    if len(tail) <= above:
        return float(np.percentile(values, percent))
    low, high = np.partition(tail, (below, above))[[below, above]]
    return float(low + (high - low) * (place - below))


class ScaleIntensityPercentilesd(MapTransform):
    """Dictionary form of :class:`ScaleIntensityPercentiles`.

    Args:
        keys: keys of the images.
        lower: see :class:`ScaleIntensityPercentiles`.
        upper: see :class:`ScaleIntensityPercentiles`.
        allow_missing_keys: do not raise where a key is missing.
    """

    def __init__(
        self, keys: KeysCollection, lower: float = 1.0, upper: float = 99.0, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.scaler = ScaleIntensityPercentiles(lower, upper)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Scale each image of the item."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.scaler(d[key])
        return d

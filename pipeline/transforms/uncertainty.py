"""How undecided a prediction is, voxel by voxel."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform

UNCERTAINTY = "uncertainty"
"""Key of the map in a data item."""


class Uncertainty(Transform):
    """Computes the entropy of the class probabilities, divided by its largest value.

    0 where one of the K classes is certain, 1 where all are equally likely, log 2 / log K where two are. Of an ensemble
    it is the entropy of the mean: high where members are undecided, and where they contradict each other.

    Source:
        Mehrtash et al., Confidence Calibration and Predictive Uncertainty Estimation for Deep Medical Image
        Segmentation, IEEE TMI 2020 (https://arxiv.org/abs/1911.13273), equation 9.
    """

    def __call__(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Compute the map.

        Args:
            probabilities: ``(K, X, Y, Z)`` of at least two classes; each voxel's are scaled to the sum 1, from which
                interpolation takes them. A voxel without any is certain: it is background.

        Returns:
            ``(1, X, Y, Z)`` from 0 to 1, with the metadata and dtype of the probabilities.

        Raises:
            ValueError: there is one class.
        """
        classes = probabilities.shape[0]
        if classes < 2:
            raise ValueError(f"probabilities must be of at least two classes, got {classes}.")
        plain = probabilities.as_tensor() if isinstance(probabilities, MetaTensor) else probabilities
        shares = plain / plain.sum(dim=0, keepdim=True).clamp_min(torch.finfo(plain.dtype).tiny)
        entropy = torch.special.entr(shares).sum(dim=0, keepdim=True) / math.log(classes)
        entropy = entropy.clamp(0.0, 1.0)
        if isinstance(probabilities, MetaTensor):
            return MetaTensor(entropy).copy_meta_from(probabilities)
        return entropy


class Uncertaintyd(MapTransform):
    """Dictionary form of :class:`Uncertainty`; place it before the probabilities become labels.

    Args:
        keys: key of the probabilities; the map is added to the item as ``uncertainty``, in half precision, since all
            phases of a cine are kept.
        allow_missing_keys: do not raise where the key is missing.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.estimate = Uncertainty()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the item with its map."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[UNCERTAINTY] = self.estimate(d[key]).half()
        return d

"""How good a mask expects itself to be, from the probabilities that it was made of."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Transform

from pipeline.labels import FOREGROUND
from pipeline.transforms.most_probable import foreground_places


class ExpectedDice(Transform):
    """Estimates the Dice of the most probable mask from its own probabilities.

    Were the probabilities true, a structure's Dice would be about twice the probability inside its mask over the sum of
    all probability and the mask. It is too high where the network is sure and wrong, but it ranks cases: low ones are
    worth a look.

    The ratio of the expectations stands in for the expectation of the ratio, as in the soft Dice loss.

    Source:
        Milletari et al., V-Net, 2016 (https://arxiv.org/abs/1606.04797), equation 1, for the soft Dice.
    """

    def __call__(self, probabilities: torch.Tensor) -> dict[str, float]:
        """Estimate the Dice of each structure.

        Args:
            probabilities: ``(K, X, Y, Z)`` from 0 to 1, the classes in the order of ``labels.Structure``; further
                labels behind them have no estimate and enter no mean.

        Returns:
            ``expected_dice_rv`` and so on, from 0 to 1; NaN where a structure has no voxel in the mask. And
            ``expected_mean_dice``, the mean in which a structure without a voxel counts 0.
        """
        plain = probabilities.as_tensor() if hasattr(probabilities, "as_tensor") else probabilities
        of_classes = expected_dice(plain)
        expected = {f"expected_dice_{structure.key}": of_classes[structure] for structure in FOREGROUND}
        mean = sum(0.0 if math.isnan(value) else value for value in expected.values()) / len(expected)
        return expected | {"expected_mean_dice": mean}


def expected_dice(probabilities: torch.Tensor) -> list[float]:
    """Estimate the Dice of each class's most probable mask, see :class:`ExpectedDice`.

    Args:
        probabilities: ``(K, ...)`` from 0 to 1, the background first.

    Returns:
        Of the K classes, from 0 to 1; NaN of the background, and of a class that is nowhere the most probable one.
    """
    voxels = probabilities.flatten(start_dim=1)
    highest, mask = voxels[:, foreground_places(voxels)].max(dim=0)  # few: what follows costs little
    sizes = torch.bincount(mask, minlength=len(voxels)).tolist()
    shares = torch.bincount(mask, weights=highest, minlength=len(voxels)).tolist()
    totals = voxels.sum(dim=1).tolist()
    of_classes = zip(sizes, shares, totals, strict=True)
    return [2 * shared / (size + total) if size else math.nan for size, shared, total in of_classes]


class ExpectedDiced(MapTransform):
    """Dictionary form of :class:`ExpectedDice`; place it before the probabilities become labels.

    Args:
        keys: key of the probabilities; the estimates are added to the item.
        allow_missing_keys: do not raise where the key is missing.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.estimate = ExpectedDice()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the item with its estimates."""
        d = dict(data)
        for key in self.key_iterator(d):
            d.update(self.estimate(d[key]))
        return d

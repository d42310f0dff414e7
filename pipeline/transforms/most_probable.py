"""Makes a label map of class probabilities."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, cast

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform


class MostProbable(Transform):
    """Takes the class of the highest probability, of equal ones the first.

    The labels of MONAI's ``AsDiscrete(argmax=True)``, for which ``torch.argmax`` goes through all voxels: here only
    those of the foreground are compared.
    """

    def __call__(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Map probabilities, or logits, ``(K, *spatial)`` to labels ``(1, *spatial)``, uint8, with the metadata.

        There are at least two classes, the background first.
        """
        plain = probabilities.as_tensor() if isinstance(probabilities, MetaTensor) else probabilities
        voxels = plain.flatten(start_dim=1)
        labels = torch.zeros(voxels.shape[1], dtype=torch.uint8, device=plain.device)
        inside = foreground_places(voxels)
        labels[inside] = voxels[:, inside].max(dim=0).indices.to(torch.uint8)
        labels = labels.reshape(1, *plain.shape[1:])
        if isinstance(probabilities, MetaTensor):
            return cast(torch.Tensor, MetaTensor(labels).copy_meta_from(probabilities))
        return labels


def foreground_places(voxels: torch.Tensor) -> torch.Tensor:
    """Return where another class than the background has the highest probability.

    Args:
        voxels: probabilities, or logits, ``(K, N)``, the background first.

    Returns:
        Indices of these voxels, rising; of equal classes the first counts, so that the background wins.
    """
    return (voxels[1:].amax(dim=0) > voxels[0]).nonzero().flatten()


class MostProbabled(MapTransform):
    """Dictionary form of :class:`MostProbable`.

    Args:
        keys: keys of the probabilities, which become labels.
        allow_missing_keys: do not raise where a key is missing.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.choose = MostProbable()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Label each image of the item."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.choose(d[key])
        return d

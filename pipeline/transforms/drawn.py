"""Keeps to what an expert has drawn, where a label does not cover the whole heart.

In such a label a slice without any structure is not known to be without one, and a structure that the label has nowhere
was not drawn: both are unknown, not background.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import convert_to_tensor


def drawn_slices(label: torch.Tensor) -> torch.Tensor:
    """Return the indices of the slices of a label ``(1, X, Y, Z)`` that hold a structure, ascending."""
    filled = (convert_to_tensor(label, track_meta=False) > 0).flatten(0, 2).any(dim=0)
    return torch.nonzero(filled).flatten()


class KeepDrawn:
    """Takes out of a prediction what its label cannot judge: slices and structures that were not drawn.

    Prediction and label agree there on background, so that overlap, distances and misses are those of what was drawn.
    """

    def __call__(self, pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Keep to what was drawn.

        Args:
            pred: ``(1, X, Y, Z)``, the project's values.
            label: of the same shape, the project's values.

        Returns:
            ``pred`` with 0 in slices where the label is empty, and in place of structures that the label has nowhere.
        """
        plain = convert_to_tensor(label, track_meta=False).to(pred.device)
        keep = torch.zeros(pred.shape[-1], dtype=torch.bool, device=pred.device)
        keep[drawn_slices(plain)] = True
        mask = keep.expand(pred.shape).clone()
        values = convert_to_tensor(pred, track_meta=False)
        for label in torch.unique(values).tolist():
            if not bool((plain == label).any()):
                mask &= values != label
        return pred * mask.to(pred.dtype)


class KeepDrawnd(MapTransform):
    """Dictionary form of :class:`KeepDrawn`; items without a label pass.

    Args:
        keys: keys of the predictions.
        label_key: key of the label.
        allow_missing_keys: do not raise where a key is missing.
    """

    def __init__(self, keys: KeysCollection, label_key: str = "label", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.label_key = label_key
        self.keep = KeepDrawn()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Keep each prediction of the item to what was drawn."""
        d = dict(data)
        if self.label_key in d:
            for key in self.key_iterator(d):
                d[key] = self.keep(d[key], d[self.label_key])
        return d


class CropToDrawn:
    """Keeps the slices that were drawn, so that a training does not take the others for background."""

    def __call__(self, img: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Keep the drawn slices.

        Args:
            img: ``(C, X, Y, Z)``; the image, or the label itself.
            label: ``(1, X, Y, Z)``, the project's values.

        Returns:
            ``(C, X, Y, drawn slices)``, with the origin at the first of them; gaps between drawn slices are closed.
            All slices where none is drawn.
        """
        slices = drawn_slices(label)
        if not len(slices):
            return img
        kept: torch.Tensor = img[..., slices.to(img.device)]
        if isinstance(img, MetaTensor) and isinstance(kept, MetaTensor):
            affine = img.affine.clone()
            affine[:3, 3] += affine[:3, 2] * int(slices[0])
            kept.affine = affine
        return kept


class CropToDrawnd(MapTransform):
    """Dictionary form of :class:`CropToDrawn`.

    Args:
        keys: keys of the image and the label.
        label_key: key of the label that says which slices are drawn.
        allow_missing_keys: do not raise where a key is missing.
    """

    def __init__(self, keys: KeysCollection, label_key: str = "label", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.label_key = label_key
        self.crop = CropToDrawn()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Keep the drawn slices of each image of the item."""
        d = dict(data)
        label = d[self.label_key]
        for key in self.key_iterator(d):
            d[key] = self.crop(d[key], label)
        return d

"""Refuses images that no network can segment, and labels on another grid, before they cost an epoch."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform

from pipeline.errors import InputError
from pipeline.geometry import same_grid


def source_name(data: Any) -> str:
    """Return the file that an image came from, for error messages; ``"the image"`` where it is not recorded."""
    meta = data.meta if isinstance(data, MetaTensor) else {}
    return str(meta.get("filename_or_obj") or "the image")


class CheckImage(Transform):
    """Passes an image on unchanged, or says why it cannot be used.

    Args:
        allow_phases: the channels are the phases of a cine, any number of them. Otherwise there must be one channel.
    """

    def __init__(self, allow_phases: bool = False) -> None:
        self.allow_phases = allow_phases

    def __call__(self, img: torch.Tensor) -> torch.Tensor:
        """Check one image.

        Args:
            img: channel-first volume ``(C, X, Y, Z)``, any real dtype.

        Returns:
            The image itself.

        Raises:
            InputError: the image is not a volume, has an empty axis, has several phases where one is needed, holds NaN
                or infinite values, or one of its phases is constant.
        """
        name, shape = source_name(img), tuple(img.shape)
        if len(shape) != 4:
            raise InputError(f"{name} must be a volume (x, y, z), or a cine (x, y, z, phase), got shape {shape[1:]}.")
        if 0 in shape:
            raise InputError(f"{name} is empty: its channel-first shape is {shape}.")
        if shape[0] > 1 and not self.allow_phases:
            raise InputError(
                f"{name} is 4D where 3D is needed: it has {shape[0]} phases. Choose one by the datalist's 'frame'."
            )
        _check_values(img.as_tensor() if isinstance(img, MetaTensor) else img, name)
        return img


def _check_values(img: torch.Tensor, name: str) -> None:
    # the extrema of a phase are NaN or infinite where any of its voxels is: one pass instead of two
    low, high = torch.aminmax(img.flatten(1), dim=1)
    if not bool((torch.isfinite(low) & torch.isfinite(high)).all()):
        bad = int((~torch.isfinite(img)).sum())
        raise InputError(
            f"{name} holds {bad} NaN or infinite values of {img.numel()}. Export it again or leave it out."
        )
    constant = torch.nonzero(low == high).flatten().tolist()
    if constant:
        where = f" in phases {constant} (counted from 0)" if img.shape[0] > 1 else ""
        raise InputError(f"{name} is constant{where}: all voxels are {float(low[constant[0]]):g}. Leave it out.")


class CheckImaged(MapTransform):
    """Dictionary form of :class:`CheckImage`.

    Args:
        keys: keys of the images.
        allow_phases: see :class:`CheckImage`.
        allow_missing_keys: do not raise where a key is missing.
    """

    def __init__(self, keys: KeysCollection, allow_phases: bool = False, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.checker = CheckImage(allow_phases)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Check each image of the item and return the item."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.checker(d[key])
        return d


class CheckSameGrid:
    """Checks that a label lies on the grid of its image."""

    def __call__(self, image: MetaTensor, label: MetaTensor) -> None:
        """Compare two channel-first volumes.

        Args:
            image: ``(C, X, Y, Z)`` with its affine.
            label: the same; the numbers of channels may differ.

        Raises:
            InputError: the shapes differ, or a corner of the label lies elsewhere than the image's.
        """
        names = f"image {source_name(image)} and label {source_name(label)}"
        shape, label_shape = tuple(image.shape[1:]), tuple(label.shape[1:])
        if shape != label_shape:
            raise InputError(f"{names} must have the same shape, got {shape} and {label_shape}.")
        affine, label_affine = image.affine.numpy(), label.affine.numpy()
        if not same_grid(affine, label_affine, shape):
            raise InputError(
                f"{names} must have the same affine, got\n{np.round(affine, 4)}\nand\n{np.round(label_affine, 4)}\n"
                "Resample the label to its image."
            )


class CheckSameGridd(MapTransform):
    """Dictionary form of :class:`CheckSameGrid`; items without a label pass.

    Args:
        image_key: key of the image.
        label_key: key of the label.
    """

    def __init__(self, image_key: str = "image", label_key: str = "label") -> None:
        super().__init__((image_key, label_key), allow_missing_keys=True)
        self.image_key = image_key
        self.label_key = label_key
        self.checker = CheckSameGrid()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Compare the item's image and label and return the item."""
        if self.label_key in data:
            self.checker(data[self.image_key], data[self.label_key])
        return dict(data)

"""Removes islands from a segmentation: a heart has one of each chamber."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Transform
from monai.utils import convert_data_type, convert_to_dst_type
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.labels import FOREGROUND

# Voxels that share a corner are connected. Thin walls run diagonally through the voxels, and from slice to slice the
# heart shifts by a voxel or two between breath-holds: face neighbors alone would cut off what belongs to it.
_NEIGHBORS = np.ones((3, 3, 3), dtype=bool)


class KeepLargestComponent(Transform):
    """Keeps the largest connected component in 3D of each structure; the rest becomes background.

    Voxels are connected where they share a face, an edge or a corner (26 neighbors). Of components of the same size the
    one that comes first in the array stays. Unlike ``monai.transforms.KeepLargestConnectedComponent`` it needs no
    scikit-image and works inside each structure's own bounding box.

    Args:
        structures: label values to clean, each by itself, from 1 to 255. Other values stay as they are.
    """

    def __init__(self, structures: Sequence[int] = FOREGROUND) -> None:
        self.structures = tuple(int(structure) for structure in structures)

    def __call__(self, img: torch.Tensor) -> torch.Tensor:
        """Clean one segmentation.

        Args:
            img: label map ``(1, X, Y, Z)`` with values from 0 to 255.

        Returns:
            The cleaned label map, of the same shape and dtype.

        Raises:
            ValueError: the shape is another one.
        """
        if img.ndim != 4 or img.shape[0] != 1:
            raise ValueError(f"img must be a label map of shape (1, X, Y, Z), got {tuple(img.shape)}.")
        labels = np.array(convert_data_type(img, np.ndarray)[0][0], dtype=np.uint8)
        boxes = ndimage.find_objects(labels)
        for structure in self.structures:
            box = boxes[structure - 1] if structure <= len(boxes) else None
            if box is not None:
                labels[box][_islands(labels[box] == structure)] = 0
        return convert_to_dst_type(labels[None], img)[0]


def _islands(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    components, number = ndimage.label(mask, _NEIGHBORS)
    if number <= 1:
        return np.zeros_like(mask)
    sizes = np.bincount(components.ravel())
    islands: NDArray[np.bool_] = mask & (components != 1 + int(np.argmax(sizes[1:])))
    return islands


class KeepLargestComponentd(MapTransform):
    """Dictionary form of :class:`KeepLargestComponent`.

    Args:
        keys: keys of the segmentations.
        structures: see :class:`KeepLargestComponent`.
        allow_missing_keys: do not raise where a key is missing.
    """

    def __init__(
        self, keys: KeysCollection, structures: Sequence[int] = FOREGROUND, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.cleaner = KeepLargestComponent(structures)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Clean each segmentation of the item."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.cleaner(d[key])
        return d

"""Distances between the surfaces of two masks, in mm, and the penalty where there is no surface to measure from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

Distances = NDArray[np.float64]


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances of every surface voxel of one mask to the nearest surface voxel of the other.

    Attributes:
        pred_to_label_mm: one distance a surface voxel of the prediction, >= 0.
        label_to_pred_mm: one distance a surface voxel of the label, >= 0.
    """

    pred_to_label_mm: Distances
    label_to_pred_mm: Distances

    @property
    def hd95_mm(self) -> float:
        """Symmetric 95 % Hausdorff distance: the larger of the two directed 95th percentiles."""
        return float(max(np.percentile(self.pred_to_label_mm, 95), np.percentile(self.label_to_pred_mm, 95)))

    @property
    def assd_mm(self) -> float:
        """Average symmetric surface distance: the mean over the surface voxels of both masks together."""
        return float(np.concatenate([self.pred_to_label_mm, self.label_to_pred_mm]).mean())


def surface_distances(pred: NDArray[Any], label: NDArray[Any], spacing_mm: Sequence[float]) -> SurfaceDistances:
    """Measure the distances between the surfaces of two binary masks.

    A voxel belongs to the surface where a face neighbor is outside the mask or outside the image, as in MONAI's
    ``get_mask_edges``: the first and last slice of a stack are surface throughout. Distances run between voxel
    centers. The nearest voxel is found in a k-d tree, whose time follows the size of the surfaces, not of the box
    around them: one false positive in a corner does not slow it.

    Args:
        pred: boolean array (X, Y, Z) or (X, Y).
        label: boolean array of the same shape.
        spacing_mm: size of a voxel along each axis.

    Returns:
        Directed distances both ways, in mm.

    Raises:
        ValueError: a mask is empty: there is no surface, the caller decides what that is worth (``penalty_mm``).

    Source:
        Nikolov et al., Clinically Applicable Segmentation of Head and Neck Anatomy, JMIR 2021, for the definitions;
        here each surface voxel weighs the same, as in MONAI's ``compute_average_surface_distance``.
    """
    if not pred.any() or not label.any():
        raise ValueError("surface_distances needs a voxel in both pred and label, got an empty mask.")
    box = _bounding_box(pred | label)
    pred_surface, label_surface = _surface(pred[box]), _surface(label[box])
    return SurfaceDistances(
        _directed(pred_surface, label_surface, spacing_mm),
        _directed(label_surface, pred_surface, spacing_mm),
    )


def penalty_mm(shape: Sequence[int], spacing_mm: Sequence[float]) -> float:
    """Return the distance that stands for a structure missed or invented: the diagonal of the volume in mm.

    No distance inside the volume is larger. Dropping such a case instead would improve the mean of a model that fails.

    Source:
        The rule of the BraTS challenge (https://www.synapse.org/Synapse:syn51156910, performance metrics 2023): 374 mm
        for a lesion missed or invented, the diagonal of its 240 x 240 x 155 volumes at 1 mm. Taken from each
        volume here, since fields of view differ.
    """
    return float(np.linalg.norm(np.asarray(shape, dtype=np.float64) * np.asarray(spacing_mm, dtype=np.float64)))


def _bounding_box(mask: NDArray[Any]) -> tuple[slice, ...]:
    axes = range(mask.ndim)
    lines = [np.flatnonzero(mask.any(axis=tuple(other for other in axes if other != axis))) for axis in axes]
    return tuple(slice(int(line[0]), int(line[-1]) + 1) for line in lines)


def _surface(mask: NDArray[Any]) -> NDArray[np.bool_]:
    return mask & ~binary_erosion(mask)


def _directed(source: NDArray[np.bool_], target: NDArray[np.bool_], spacing_mm: Sequence[float]) -> Distances:
    scale = np.asarray(spacing_mm, dtype=np.float64)
    distances = np.zeros(int(source.sum()))
    apart = ~target[source]  # voxels that both surfaces share are at distance 0: most of them, once a model is good
    if apart.any():
        tree = cKDTree(np.argwhere(target) * scale)
        distances[apart] = tree.query(np.argwhere(source & ~target) * scale)[0]
    return distances

"""Spacing, orientation and equality of image grids, with the tolerances that decide."""

from __future__ import annotations

from collections.abc import Sequence

import nibabel as nib
import numpy as np
from numpy.typing import ArrayLike, NDArray

SPACING_TOLERANCE_MM = 1e-3
"""Grids whose spacings differ by less are the same: headers store float32, rounded to about 1e-4 mm."""

AFFINE_TOLERANCE_MM = 1e-2
"""Two grids are the same where no corner of the volume moves further than this."""


def spacing_mm(affine: ArrayLike) -> NDArray[np.float64]:
    """Return the voxel spacing along the array axes.

    One step along array axis ``i`` moves by column ``i`` of the affine, so its length is the column's norm.

    Args:
        affine: 4x4 matrix from voxel indices to world coordinates in mm.

    Returns:
        Array of 3 spacings in mm.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    return np.linalg.norm(matrix[:3, :3], axis=0)


def voxel_volume_ml(affine: ArrayLike) -> float:
    """Return the volume of one voxel in mL (1 mL = 1000 mm³), valid for sheared grids too."""
    matrix = np.asarray(affine, dtype=np.float64)
    return float(abs(np.linalg.det(matrix[:3, :3])) / 1000.0)


def slice_axis(affine: ArrayLike) -> int:
    """Return the array axis that steps from slice to slice.

    Short-axis stacks are thick-sliced: it is the axis of the largest spacing. Where the others come within
    ``SPACING_TOLERANCE_MM`` of it (isotropic grids), it is the last axis, as NIfTI stores stacks.
    """
    spacing = spacing_mm(affine)
    return int(np.flatnonzero(spacing >= spacing.max() - SPACING_TOLERANCE_MM)[-1])


def same_grid(affine: ArrayLike, other: ArrayLike, shape: Sequence[int]) -> bool:
    """Tell whether two affines place each voxel of a volume of ``shape`` at the same position.

    Compares the positions of the eight corners, so that a small rotation counts by the distance it moves the voxels.
    """
    sizes = [*shape[:3], 1, 1][:3]
    corners = np.array(np.meshgrid(*[(0, max(n - 1, 0)) for n in sizes], indexing="ij")).reshape(3, -1)
    homogeneous = np.vstack([corners, np.ones(corners.shape[1])])
    shift = (np.asarray(affine, dtype=np.float64) - np.asarray(other, dtype=np.float64)) @ homogeneous
    return bool(np.linalg.norm(shift[:3], axis=0).max() <= AFFINE_TOLERANCE_MM)


def nifti_affine(image: nib.Nifti1Pair) -> NDArray[np.float64]:
    """Return the affine of a NIfTI image, with the header's spacing where the affine contradicts it.

    ACDC's files carry an sform of ``diag(-1, -1, 1)`` beside a correct ``pixdim``: the affine alone says 1 mm
    isotropic. MONAI's ``NibabelReader`` then takes the qform, whose spacing is ``pixdim`` by definition, with its
    directions and its origin; so does this function, so that a grid means the same here as in training. Of a 4D file
    it takes the spatial axes alone (MONAI's reader compares the fourth column with the frame time too, and keeps the
    contradictory affine unless the origin is 0 and the frame time 1).

    Args:
        image: image of 2 to 4 dimensions.

    Returns:
        4x4 matrix from voxel indices to world coordinates in mm.

    Source: NIfTI-1 standard, "3D image (volume) orientation and location in space", methods 2 (qform) and 3 (sform).
    """
    affine = np.asarray(image.affine, dtype=np.float64)
    zooms = np.asarray(image.header.get_zooms()[:3], dtype=np.float64)
    # NumPy's default tolerances, as in MONAI: another tolerance here would sort some files differently from training.
    if np.allclose(zooms, spacing_mm(affine)[: zooms.size]):
        return affine
    return np.asarray(image.get_qform(), dtype=np.float64)

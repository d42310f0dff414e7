"""Where a scanner would put a short-axis stack: its orientation, and the slices along the heart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.data.phantom.heart import Array
from pipeline.errors import InputError

MIN_FIELD_MM = 160.0
"""Smallest field of view in-plane: the largest hearts need it."""

MIN_STACK_MM = 40.0
"""Shortest stack: about half a heart."""

# Unit vectors in RAS+ of the usual short axis: image right is left-posterior, the slices step from base to apex, to the
# left, forward and down.
_BASE_TO_APEX = np.array([-0.65, 0.60, -0.45]) / np.linalg.norm([-0.65, 0.60, -0.45])
_MAX_TILT_RAD = math.radians(12)


def check_grid(shape: Sequence[int], spacing_mm: Sequence[float]) -> None:
    """Raise where a grid cannot hold a heart.

    Args:
        shape: voxels along x, y and the slices.
        spacing_mm: voxel spacing along x, y and the slices.

    Raises:
        InputError: not three values, a value that is not positive and finite, or a field of view below
            ``MIN_FIELD_MM`` in-plane or ``MIN_STACK_MM`` along the slices.
    """
    if len(shape) != 3 or any(int(n) != n or n < 1 for n in shape):
        raise InputError(f"shape must be three positive integers (x, y, slices), got {tuple(shape)}.")
    if len(spacing_mm) != 3 or not all(math.isfinite(s) and s > 0 for s in spacing_mm):
        raise InputError(f"spacing_mm must be three positive numbers (x, y, slices), got {tuple(spacing_mm)}.")
    field = [n * s for n, s in zip(shape, spacing_mm, strict=True)]
    needed = (MIN_FIELD_MM, MIN_FIELD_MM, MIN_STACK_MM)
    if any(have < need for have, need in zip(field, needed, strict=True)):
        raise InputError(
            f"shape times spacing_mm must be at least {needed} mm to hold a heart, got "
            f"{tuple(round(mm, 1) for mm in field)} from shape {tuple(shape)} and spacing_mm {tuple(spacing_mm)}; "
            "raise one of them."
        )


def oblique_affine(rng: np.random.Generator, shape: Sequence[int], spacing_mm: Sequence[float]) -> Array:
    """Return the affine of a short-axis stack in a random, anatomically likely orientation.

    Returns:
        4x4 from voxel indices to RAS+ mm; the middle of the stack lies near the isocenter.
    """
    down = np.array([0.0, 0.0, -1.0])
    down = down - (down @ _BASE_TO_APEX) * _BASE_TO_APEX
    down /= np.linalg.norm(down)
    right = -np.cross(down, _BASE_TO_APEX)
    tilt = Rotation.from_rotvec(rng.uniform(-_MAX_TILT_RAD, _MAX_TILT_RAD, size=3))
    affine = np.eye(4)
    affine[:3, :3] = tilt.as_matrix() @ np.stack([right, down, _BASE_TO_APEX], axis=1) * np.asarray(spacing_mm)
    middle = (np.asarray(shape) - 1) / 2
    affine[:3, 3] = rng.uniform(-30, 30, size=3) - affine[:3, :3] @ middle
    return affine


def slice_depths(rng: np.random.Generator, heart_mm: float, slices: int, spacing_mm: float) -> Array:
    """Return the depth of each slice's middle below the valve plane.

    What the stack is longer than the heart is shared at random between base and apex, so the end slices may hold no
    ventricle. A stack that is shorter begins at the valves.

    Args:
        rng: source of the placement.
        heart_mm: length of the heart.
        slices: number of slices.
        spacing_mm: distance between slices.

    Returns:
        Depths in mm, shape ``(slices,)``.
    """
    spare = max(slices * spacing_mm - heart_mm, 0.0)
    above = spare * rng.uniform(0.1, 0.9)
    return np.asarray((np.arange(slices) + 0.5) * spacing_mm - above)

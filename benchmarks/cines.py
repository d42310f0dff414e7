"""Cines of any size, made of one ACDC volume."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]
NOISE = 0.01
"""Of the largest intensity, by which the phases differ."""


def write_cine(
    volume: Path, path: Path, size: tuple[int, int], slices: int, phases: int, pixel_mm: float | None = None
) -> None:
    """Write a cine whose planes are interpolated, whose slices are repeated and whose phases differ by noise.

    Args:
        volume: of ACDC.
        path: of the NIfTI file, int16.
        size: pixels along x and y.
        slices: chosen or repeated evenly.
        phases: number of them.
        pixel_mm: of the cine, which is cropped or padded to ``size`` around the center; None: what fills ``size`` with
            the whole plane.
    """
    image = nib.load(volume)
    x_mm, y_mm, slice_mm = (float(value) for value in image.header.get_zooms()[:3])
    factors = [n / old for n, old in zip(size, image.shape[:2], strict=True)]
    if pixel_mm is not None:
        factors = [x_mm / pixel_mm, y_mm / pixel_mm]
    planes = ndimage.zoom(np.asarray(image.dataobj, dtype=np.float32), (*factors, 1), order=1)
    stack = fitted(planes, size)[..., np.linspace(0, image.shape[2] - 1, slices).round().astype(int)]
    made = nib.Nifti1Image(moving(stack, phases), np.diag([x_mm / factors[0], y_mm / factors[1], slice_mm, 1.0]))
    made.header.set_xyzt_units("mm", "msec")
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(made, path)


def fitted(planes: Floats, size: tuple[int, int]) -> Floats:
    """Crop planes ``(X, Y, Z)`` to a size, or pad them with zeros, around the center."""
    for axis, wanted in enumerate(size):
        extra = planes.shape[axis] - wanted
        if extra > 0:
            planes = planes.take(range(extra // 2, extra // 2 + wanted), axis=axis)
        elif extra < 0:
            padding = [(0, 0)] * planes.ndim
            padding[axis] = (-extra // 2, -extra - -extra // 2)
            planes = np.pad(planes, padding)
    return planes


def moving(stack: Floats, phases: int) -> NDArray[np.int16]:
    """Return a stack ``(X, Y, Z)`` as ``(X, Y, Z, T)``, with other noise in each phase."""
    noise, generator = NOISE * float(stack.max()), np.random.default_rng(0)
    cine = np.empty((*stack.shape, phases), np.int16)
    for phase in range(phases):
        cine[..., phase] = stack + noise * generator.standard_normal(stack.shape, dtype=np.float32)
    return cine

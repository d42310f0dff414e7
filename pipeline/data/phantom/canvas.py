"""Painting tissues with soft edges, and the random textures that make them look like tissue.

All arrays run slice, column, row, shape ``(slices, x, y)``: a slice is contiguous, so what differs between slices
broadcasts from shape ``(slices, 1, 1)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Tissue:
    """How bright a tissue is.

    Attributes:
        intensity: brightness in bSSFP, left ventricular blood is 1.
        fat: 1 for fat, 0 for water. Where the two share a voxel their signals cancel.
    """

    intensity: float
    fat: float = 0.0


class Canvas:
    """A stack of slices on which later tissues cover earlier ones.

    Args:
        shape: slices, columns, rows.
        pixel_mm: width of the soft edge, the size of a pixel: a pixel that an edge crosses gets a share of both sides.
    """

    def __init__(self, shape: tuple[int, int, int], pixel_mm: float) -> None:
        self.intensity: Image = np.zeros(shape, dtype=np.float32)
        self.fat: Image = np.zeros(shape, dtype=np.float32)
        self.pixel_mm = pixel_mm

    def copy(self) -> Canvas:
        """Return a canvas with the same picture that can be painted on separately."""
        other = Canvas(self.intensity.shape, self.pixel_mm)
        other.intensity, other.fat = self.intensity.copy(), self.fat.copy()
        return other

    def coverage(self, distance_mm: Image) -> Image:
        """Return the share of each pixel inside a shape, given the distance to its edge (negative inside)."""
        return np.clip(0.5 - distance_mm * (1 / self.pixel_mm), 0, 1)

    def paint(self, coverage: Image, tissue: Tissue, texture: Image | None = None) -> None:
        """Cover the canvas with a tissue.

        Args:
            coverage: share of each pixel that the tissue covers, 0 to 1.
            tissue: what to paint.
            texture: factor on the tissue's intensity, pixel by pixel.
        """
        value = tissue.intensity * (1 if texture is None else texture)
        self.intensity += coverage * (value - self.intensity)
        self.fat += coverage * (tissue.fat - self.fat)

    def signal(self) -> Image:
        """Return the picture with the dark line that bSSFP shows where fat meets water (opposed phase)."""
        return self.intensity * (1 - 2.6 * self.fat * (1 - self.fat))


def ellipse_distance(x: Image, y: Image, semi_x: Image | float, semi_y: Image | float) -> Image:
    """Return the signed distance in mm to an ellipse around the origin, negative inside, exact to first order."""
    u, v = x / semi_x, y / semi_y
    level = length(u, v)
    slope = length(u / semi_x, v / semi_y) + 1e-6
    return np.asarray(level * (level - 1) / slope, dtype=np.float32)


def length(x: Image, y: Image) -> Image:
    """Return the length of vectors; several times as fast as ``np.hypot``, whose care for overflow is not needed."""
    return np.asarray(np.sqrt(x * x + y * y))


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int, int], cell_px: float) -> Image:
    """Return noise with standard deviation about 1 that varies in-plane over ``cell_px`` pixels; slices independent."""
    slices, columns, rows = shape
    weights = [_spread(n, cell_px) for n in (columns, rows)]
    coarse = rng.standard_normal((slices, weights[0].shape[1], weights[1].shape[1]), dtype=np.float32)
    return np.asarray(weights[0] @ coarse @ weights[1].T)


def _spread(length: int, cell_px: float) -> Image:
    """Return the matrix from noise a cell to noise a pixel, rows of unit norm."""
    cells = np.arange(-2, int(np.ceil(length / cell_px)) + 3)
    distance = np.arange(length)[:, None] / cell_px - cells[None]
    weights = np.exp(-0.5 * (distance / 0.55) ** 2)
    return np.asarray(weights / np.linalg.norm(weights, axis=1, keepdims=True), dtype=np.float32)

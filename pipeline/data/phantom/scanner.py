"""What the scanner adds to the tissues: blur, coil sensitivity, the scale of its numbers, Rician noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipeline.data.phantom.canvas import Image, length
from pipeline.data.phantom.torso import Plane

_BLUR_PX = 0.45  # point spread of the acquisition, in-plane
_FALL_MM = 130.0  # depth at which the signal of the front coil has fallen to 1/e


class Scanner:
    """One patient's scanner settings.

    Args:
        plane: the pixels' positions.
        rng: source of the settings.
    """

    def __init__(self, plane: Plane, rng: np.random.Generator) -> None:
        self.scale = float(np.exp(rng.uniform(np.log(90), np.log(600))))
        self.noise = float(rng.uniform(0.015, 0.045))
        self._bias = _coil_sensitivity(plane, rng)

    def scan(self, signal: Image, rng: np.random.Generator) -> NDArray[np.int16]:
        """Return the magnitude image.

        Args:
            signal: shape ``(slices, x, y)``, left ventricular blood is 1.
            rng: source of the noise.

        Returns:
            int16, same shape, 0 or more.
        """
        blurred = gaussian_filter(signal, (0, _BLUR_PX, _BLUR_PX), truncate=3)
        real, imaginary = rng.standard_normal((2, *signal.shape), dtype=np.float32) * self.noise
        magnitude = length(blurred * self._bias + real, imaginary)
        return np.rint(magnitude * self.scale).astype(np.int16)


def _coil_sensitivity(plane: Plane, rng: np.random.Generator) -> Image:
    """Return the smooth factor on the signal, near 1 at the heart: front and back coils, and a patient's own part."""
    front = np.exp(-(plane.x + 60) / _FALL_MM) + 0.5 * np.exp((plane.x - 110) / _FALL_MM)
    u, v = plane.x / 120, plane.y / 120
    a, b, c, d = rng.normal(0, [0.10, 0.15, 0.10, 0.08]).astype(np.float32)
    own = a * u + b * v + c * u * v - abs(d) * v**2
    field = rng.uniform(0.3, 0.7) * np.log(front / 0.78) + own
    along = rng.normal(0, 0.08) * (plane.level - 0.5)
    return np.asarray(np.exp(np.clip(field + along, -1.2, 0.9)), dtype=np.float32)

"""Random rotation, scale, shear, shift, mirroring and elastic deformation in one resampling."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable

from pipeline.transforms.batch.base import ordered


class RandAffineBatch(Randomizable):
    """Resamples a batch of windows at randomly deformed positions and cuts the central ``roi_size``.

    All spatial changes are composed into one sampling grid, so that the image is interpolated once. The windows should
    be larger than ``roi_size``: then rotated corners show tissue instead of padding.

    Args:
        roi_size: height and width of the output, in pixels.
        prob: probability that a sample is rotated, scaled, sheared and shifted.
        rotate_degrees: largest rotation to either side.
        scale: range of the magnification; above 1 the heart appears larger. Drawn log-uniformly.
        shear: largest shear to either side.
        shift: largest shift to either side along each axis, in pixels.
        turn_prob: probability of one to three quarter turns on top of the rotation.
        flip_prob: probability of mirroring, for each axis on its own.
        elastic_prob: probability of an elastic deformation.
        elastic: range of the standard deviation of the displacement at the control points, in pixels.
        control_points: of the elastic deformation, along each axis, at least 2.

    Raises:
        ValueError: a range is not rising, a probability is not in [0, 1], ``roi_size`` is not two positive numbers, or
            ``control_points`` is below 2.
    """

    def __init__(
        self,
        roi_size: Sequence[int],
        prob: float = 1.0,
        rotate_degrees: float = 30.0,
        scale: tuple[float, float] = (0.8, 1.25),
        shear: float = 0.1,
        shift: float = 0.0,
        turn_prob: float = 0.0,
        flip_prob: float = 0.0,
        elastic_prob: float = 0.0,
        elastic: tuple[float, float] = (0.0, 4.0),
        control_points: int = 6,
    ) -> None:
        probabilities = {"prob": prob, "turn_prob": turn_prob, "flip_prob": flip_prob, "elastic_prob": elastic_prob}
        for name, value in probabilities.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {value}.")
        if len(roi_size) != 2 or min(roi_size) < 1:
            raise ValueError(f"roi_size must be two positive numbers, got {roi_size}.")
        if control_points < 2:
            raise ValueError(f"control_points must be at least 2, got {control_points}.")
        self.roi_size = (int(roi_size[0]), int(roi_size[1]))
        self.prob, self.turn_prob, self.flip_prob, self.elastic_prob = prob, turn_prob, flip_prob, elastic_prob
        self.rotate_radians = float(np.deg2rad(rotate_degrees))
        self.scale = ordered("scale", scale, low=1e-3)
        self.shear, self.shift = shear, shift
        self.elastic = ordered("elastic", elastic, low=0)
        self.control_points = control_points

    def sampling_grid(self, samples: int, window_size: Sequence[int]) -> torch.Tensor:
        """Draw the positions to sample.

        Args:
            samples: size of the batch.
            window_size: height and width of the windows to sample from, in pixels.

        Returns:
            ``(samples, *roi_size, 2)`` in the coordinates of ``torch.nn.functional.grid_sample`` (x before y, -1 and
            1 at the outer edges of the window).
        """
        height, width = self.roi_size
        y = torch.arange(height, dtype=torch.float32) - (height - 1) / 2
        x = torch.arange(width, dtype=torch.float32) - (width - 1) / 2
        pixels = torch.stack(torch.meshgrid(y, x, indexing="ij")).reshape(2, -1)
        matrix, shift = self._draw_affine(samples)
        moved = (matrix @ pixels + shift).reshape(samples, 2, height, width)
        self._add_elastic(moved)
        to_unit = torch.tensor([2.0 / window_size[0], 2.0 / window_size[1]]).view(1, 2, 1, 1)
        return (moved * to_unit).flip(1).permute(0, 2, 3, 1)

    def __call__(self, image: torch.Tensor, grid: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
        """Sample a batch ``(B, C, H, W)`` at ``grid``; positions outside of the window give 0.

        Labels go with ``mode="nearest"``; they keep their dtype.
        """
        sampled = F.grid_sample(
            image.float(), grid.to(image.device), mode=mode, padding_mode="zeros", align_corners=False
        )
        return sampled.to(image.dtype)

    def _draw_affine(self, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
        active = self.R.random_sample(samples) < self.prob
        angle = np.where(active, self.R.uniform(-self.rotate_radians, self.rotate_radians, samples), 0)
        turned = self.R.random_sample(samples) < self.turn_prob
        angle = angle + np.where(turned, self.R.randint(1, 4, samples), 0) * np.pi / 2
        log_scale = np.where(active, self.R.uniform(np.log(self.scale[0]), np.log(self.scale[1]), samples), 0)
        shear = np.where(active, self.R.uniform(-self.shear, self.shear, samples), 0)
        shift = np.where(active[:, None], self.R.uniform(-self.shift, self.shift, (samples, 2)), 0)
        flip = np.where(self.R.random_sample((samples, 2)) < self.flip_prob, -1.0, 1.0)
        cos, sin = np.cos(angle), np.sin(angle)
        rotation = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
        skew = np.tile(np.eye(2), (samples, 1, 1))
        skew[:, 0, 1] = shear
        # the grid says where each output pixel comes from, so magnifying divides
        matrix = rotation @ skew * np.exp(-log_scale)[:, None, None] * flip[:, None, :]
        return torch.as_tensor(matrix, dtype=torch.float32), torch.as_tensor(shift[:, :, None], dtype=torch.float32)

    def _add_elastic(self, moved: torch.Tensor) -> None:
        samples = len(moved)
        active = self.R.random_sample(samples) < self.elastic_prob
        strength = np.where(active, self.R.uniform(*self.elastic, samples), 0)
        drawn = self.R.standard_normal((samples, 2, self.control_points, self.control_points))
        nodes = torch.as_tensor(drawn * strength[:, None, None, None], dtype=torch.float32)
        bent = torch.as_tensor(active)
        if bent.any():
            moved[bent] += F.interpolate(nodes[bent], size=self.roi_size, mode="bicubic", align_corners=True)


class RandAffineBatchd(Randomizable, MapTransform):
    """Dictionary form of ``RandAffineBatch``: the same positions for all keys.

    Args:
        keys: of the batches ``(B, C, H, W)``, all of one window size.
        roi_size: height and width of the output, in pixels.
        mode: interpolation of each key, ``"bilinear"`` for images and ``"nearest"`` for labels.
        allow_missing_keys: whether a missing key is passed over.
        kwargs: further arguments of ``RandAffineBatch``.

    Raises:
        ValueError: ``mode`` has not one entry a key, or see ``RandAffineBatch``.
    """

    def __init__(
        self,
        keys: KeysCollection,
        roi_size: Sequence[int],
        mode: Sequence[str] = ("bilinear", "nearest"),
        allow_missing_keys: bool = False,
        **kwargs: Any,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        if len(mode) != len(self.keys):
            raise ValueError(f"mode must have one entry a key, got {list(mode)} for {list(self.keys)}.")
        self.mode = tuple(mode)
        self.transform = RandAffineBatch(roi_size, **kwargs)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandAffineBatchd:
        """Seed the transform inside (MONAI's contract)."""
        super().set_random_state(seed, state)
        self.transform.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with the batches of ``keys`` resampled together."""
        changed = dict(data)
        grid = None
        for key, mode in self.key_iterator(changed, self.mode):
            if grid is None:
                samples, _, *window_size = changed[key].shape
                grid = self.transform.sampling_grid(samples, window_size)
            changed[key] = self.transform(changed[key], grid, mode)
        return changed

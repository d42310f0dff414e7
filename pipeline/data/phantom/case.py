"""One phantom patient on a scanner's grid: image, label and affine at any phase of the beat."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.data.phantom.canvas import Image, smooth_noise
from pipeline.data.phantom.diseases import draw_heart
from pipeline.data.phantom.grid import check_grid, oblique_affine, slice_depths
from pipeline.data.phantom.heart import Array, Heart
from pipeline.data.phantom.heart_painter import HeartPainter, hull, image_angles
from pipeline.data.phantom.scanner import Scanner
from pipeline.data.phantom.torso import Plane, Surroundings, paint_torso
from pipeline.errors import InputError
from pipeline.labels import FOREGROUND, Structure

DEFAULT_ES_PHASE = 11 / 30
"""End-systole in the 12th of 30 frames, as in ACDC's first patient."""

_SUBSLICES = 5  # samples through the thickness of a slice; odd, so that no valve plane leaves a tie
_HALF = 0.499  # a share of exactly one half, give or take rounding, counts
_OFF_CENTER_MM = 15.0
_BREATHING_MM = 1.2
# Separate streams, so that what one part draws does not change the others.
_HEART, _PLACEMENT, _TORSO, _TEXTURE, _SCANNER, _NOISE = range(6)


class PhantomCase(NamedTuple):
    """One phase of a phantom patient.

    Attributes:
        image: int16, shape ``(x, y, slices)``; x runs to image right, y down, slices from base to apex.
        label: uint8, same shape, values of ``pipeline.labels.Structure``, which are ACDC's.
        affine: 4x4 from voxel indices to RAS+ mm, oblique.
    """

    image: NDArray[np.int16]
    label: NDArray[np.uint8]
    affine: Array


def make_phantom_case(
    seed: int = 0,
    group: str = "NOR",
    phase: float = 0.0,
    shape: tuple[int, int, int] = (128, 112, 10),
    spacing_mm: tuple[float, float, float] = (1.6, 1.8, 10.0),
    es_phase: float = DEFAULT_ES_PHASE,
) -> PhantomCase:
    """Make one phase of one phantom patient.

    Phases made with the same other arguments belong to the same patient and the same scan.

    Args:
        seed: number of the patient, 0 or more.
        group: one of ``PHANTOM_GROUPS``.
        phase: share of the beat since end-diastole; periodic.
        shape: voxels along x, y and the slices.
        spacing_mm: voxel spacing along x, y and the slices.
        es_phase: phase of end-systole, 0.05 to 0.95.

    Returns:
        Image, label and affine. A stack shorter than the heart, 80 to 110 mm, ends before the apex.

    Raises:
        InputError: as ``PhantomPatient``.
    """
    patient = PhantomPatient(seed, group, shape, spacing_mm, es_phase)
    return PhantomCase(*patient.render(phase), patient.affine)


class PhantomPatient:
    """A phantom patient in the scanner: everything that stays the same while the heart beats.

    Args:
        seed: number of the patient, 0 or more.
        group: one of ``PHANTOM_GROUPS``.
        shape: voxels along x, y and the slices.
        spacing_mm: voxel spacing along x, y and the slices.
        es_phase: phase of end-systole, 0.05 to 0.95.

    Attributes:
        heart: the anatomy, with the volumes it was made to have.
        affine: 4x4 from voxel indices to RAS+ mm.

    Raises:
        InputError: a negative seed, an unknown group, an ``es_phase`` out of range, or a grid that cannot hold a heart.
    """

    def __init__(
        self,
        seed: int,
        group: str,
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float],
        es_phase: float = DEFAULT_ES_PHASE,
    ) -> None:
        check_grid(shape, spacing_mm)
        self._seed = seed
        self.heart = draw_phantom_heart(seed, group, es_phase)
        rng = self._stream(_PLACEMENT)
        self.affine = oblique_affine(rng, shape, spacing_mm)
        self._depths = _subslices(slice_depths(rng, self.heart.extent_mm, shape[2], spacing_mm[2]), spacing_mm[2])
        rotation = rng.normal(0, np.deg2rad(14))
        reach = hull(self.heart.surfaces(0.0, self._depths.ravel())).reshape(shape[2], _SUBSLICES, -1).max(axis=1)
        x, y = reach * np.cos(image_angles(rotation)), reach * np.sin(image_angles(rotation))
        present = reach > 0
        self._plane = _place(rng, (x[present], y[present]), self._levels(), shape, spacing_mm)
        bottom = np.where(present, y, 0).max(axis=1).astype(np.float32)[:, None, None]
        self._torso = paint_torso(self._plane, Surroundings(float(x[present].min()), bottom), self._stream(_TORSO))
        self._painter = HeartPainter(self._plane, self.heart, rotation, self._stream(_TEXTURE))
        self._scanner = Scanner(self._plane, self._stream(_SCANNER))

    def render(self, phase: float) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Return image and label at one phase of the beat.

        Args:
            phase: share of the beat since end-diastole; periodic.

        Returns:
            int16 image and uint8 label, each of shape ``(x, y, slices)``.
        """
        phase %= 1.0
        rng = self._stream(_NOISE, round(phase * 1e6))
        flow = 1 + 0.05 * smooth_noise(rng, self._plane.shape, 9 / self._plane.pixel_mm)
        surfaces = self.heart.surfaces(phase, self._depths.ravel())
        signal = np.zeros(self._plane.shape, dtype=np.float32)
        shares = {structure: np.zeros_like(signal) for structure in FOREGROUND}
        for start in range(_SUBSLICES):
            canvas = self._torso.copy()
            painted = self._painter.paint(canvas, surfaces.rows(slice(start, None, _SUBSLICES)), flow)
            signal += canvas.signal() / _SUBSLICES
            for structure, share in painted.items():
                shares[structure] += share / _SUBSLICES
        return _slices_last(self._scanner.scan(signal, rng)), _slices_last(_majority(shares))

    def _levels(self) -> Image:
        """Return the position of each slice from base (0) to apex (1), shape ``(slices, 1, 1)``."""
        middle = self._depths.mean(axis=1) / self.heart.extent_mm
        return np.clip(middle, -0.2, 1.2).astype(np.float32)[:, None, None]

    def _stream(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, *key])


def draw_phantom_heart(seed: int, group: str, es_phase: float = DEFAULT_ES_PHASE) -> Heart:
    """Return the heart of ``PhantomPatient`` with this seed, before a grid is chosen for it.

    Raises:
        InputError: a negative seed, an unknown group, an ``es_phase`` out of range.
    """
    if seed < 0:
        raise InputError(f"seed must be 0 or more, got {seed}.")
    return draw_heart(np.random.default_rng([seed, _HEART]), group, es_phase)


def _subslices(middles: Array, thickness_mm: float) -> Array:
    """Return the depths sampled within each slice, shape ``(slices, _SUBSLICES)``."""
    steps = (np.arange(_SUBSLICES) + 0.5) / _SUBSLICES - 0.5
    return np.asarray(middles[:, None] + steps * thickness_mm)


def _place(
    rng: np.random.Generator,
    outline: tuple[Array, Array],
    level: Image,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
) -> Plane:
    """Put the heart near the middle of the field of view, each slice moved a little by the breath it was taken in."""
    axes = []
    for points, n, step in zip(outline, shape[:2], spacing_mm[:2], strict=True):
        spare = max(n * step - np.ptp(points), 0.0) / 2
        off_center = rng.uniform(-1, 1) * min(_OFF_CENTER_MM, 0.6 * spare)
        axis_mm = n * step / 2 - (points.max() + points.min()) / 2 + off_center
        breath = rng.normal(0, _BREATHING_MM, size=shape[2])
        axes.append(((np.arange(n) + 0.5) * step - axis_mm + breath[:, None]).astype(np.float32))
    return Plane(axes[0][:, :, None], axes[1][:, None, :], level, float(np.mean(spacing_mm[:2])))


def _majority(shares: dict[Structure, Image]) -> NDArray[np.uint8]:
    """Return the label of each pixel: what fills at least half of it."""
    rv, lv = shares[Structure.RV], shares[Structure.LV]
    left = shares[Structure.MYO] + lv
    label = np.zeros(rv.shape, dtype=np.uint8)
    label[_largest_part(rv >= _HALF)] = Structure.RV
    label[left >= _HALF] = Structure.MYO
    # Beside a valve plane both ventricles may fill less than half of a pixel between them: the septum has no gap there.
    gap = (label == 0) & (rv + left >= _HALF) & _beside(label == Structure.RV) & _beside(label == Structure.MYO)
    label[gap] = Structure.MYO
    label[lv >= _HALF] = Structure.LV
    return label


def _beside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels that touch a mask in-plane, and the mask."""
    cross = ndimage.generate_binary_structure(2, 1)[None]
    return np.asarray(ndimage.binary_dilation(mask, cross))


def _largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected part: pixels of the thin ends of the right ventricle may lie apart."""
    parts, count = ndimage.label(mask)
    return mask if count < 2 else np.asarray(parts == np.bincount(parts[mask]).argmax())


def _slices_last(stack: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(np.moveaxis(stack, 0, 2))

"""What surrounds the heart in a short-axis slice: chest wall, lungs, liver, stomach, spleen, aorta, spine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.data.phantom.canvas import Canvas, Image, Tissue, ellipse_distance, length, smooth_noise

FAT = Tissue(1.25, fat=1.0)
INNER_FAT = Tissue(0.95, fat=1.0)
MUSCLE = Tissue(0.30)
MARROW = Tissue(0.80, fat=1.0)
CORTEX = Tissue(0.05)
LUNG = Tissue(0.06)
VESSEL = Tissue(0.75)
LIVER = Tissue(0.40)
SPLEEN = Tissue(0.50)
BOWEL = Tissue(0.45)
VERTEBRA = Tissue(0.45)
AORTA = Tissue(0.92)


@dataclass(frozen=True)
class Plane:
    """Where the pixels are.

    Attributes:
        x: distance in mm from the long axis of the heart to image right, shape ``(slices, columns, 1)``.
        y: the same downward, shape ``(slices, 1, rows)``.
        level: position of each slice from the base (0) to the apex (1) of the heart, shape ``(slices, 1, 1)``.
        pixel_mm: mean in-plane spacing.
    """

    x: Image
    y: Image
    level: Image
    pixel_mm: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, columns, rows."""
        return self.x.shape[0], self.x.shape[1], self.y.shape[2]


@dataclass(frozen=True)
class Surroundings:
    """How far the heart reaches at end-diastole, so that the organs lie close against it.

    Attributes:
        left_mm: lowest ``x`` of the heart, towards the chest wall.
        bottom_mm: highest ``y`` of the heart in each slice, towards the diaphragm, shape ``(slices, 1, 1)``.
    """

    left_mm: float
    bottom_mm: Image


def paint_torso(plane: Plane, heart: Surroundings, rng: np.random.Generator) -> Canvas:
    """Paint one patient's torso without the heart.

    Args:
        plane: the pixels' positions.
        heart: the space that the heart takes.
        rng: source of the patient's variation.

    Returns:
        The canvas; air is 0.
    """
    canvas = Canvas(plane.shape, plane.pixel_mm)
    cage = _Cage(plane, heart, rng)
    _paint_chest_wall(canvas, plane, cage, rng)
    _paint_lungs(canvas, plane, cage, rng)
    _paint_abdomen(canvas, plane, cage, rng)
    _paint_spine_and_aorta(canvas, plane, cage, rng)
    return canvas


class _Cage:
    """The inside of the rib cage and the diaphragm that divides it."""

    def __init__(self, plane: Plane, heart: Surroundings, rng: np.random.Generator) -> None:
        self.half_x = rng.uniform(82, 98)
        self.half_y = rng.uniform(120, 150)
        # Towards the apex the chest wall comes nearer to the axis, as the right ventricle in between gets smaller.
        self.left = (heart.left_mm - rng.uniform(2, 6)) * (1 - 0.3 * plane.level**2)
        self.center_x = self.left + self.half_x
        self.center_y = rng.uniform(0, 25)
        u, v = plane.x - self.center_x, plane.y - self.center_y
        self.angle = np.arctan2(v, u)
        self.distance = ellipse_distance(u, v, self.half_x * (1 + 0.12 * v / self.half_y), self.half_y)
        self.diaphragm = self._diaphragm(plane, heart, rng)

    def _diaphragm(self, plane: Plane, heart: Surroundings, rng: np.random.Generator) -> Image:
        """Return ``y`` in mm where lung turns into abdomen, shape ``(slices, columns, 1)``: a dome below the heart."""
        top = 0.5 * heart.bottom_mm + 0.5 * heart.bottom_mm.max() - rng.uniform(2, 6)
        offset = plane.x - rng.uniform(-25, 5)
        fall = np.where(offset > 0, rng.uniform(18, 32), rng.uniform(4, 10))
        wobble = 2.0 * smooth_noise(rng, (plane.shape[0], plane.shape[1], 1), 25 / plane.pixel_mm)
        return np.asarray(top + fall * (offset / 70) ** 2 + wobble, dtype=np.float32)


def _paint_chest_wall(canvas: Canvas, plane: Plane, cage: _Cage, rng: np.random.Generator) -> None:
    front = 0.5 - 0.5 * np.cos(cage.angle)
    up = np.clip(-np.sin(cage.angle), 0, 1)  # chest muscles in front and above, back muscles behind
    muscle = rng.uniform(10, 13) * (1 + 0.8 * up * front + 0.5 * (1 - front) ** 2)
    waves = [rng.normal(0, 0.15) * np.sin(k * cage.angle + rng.uniform(0, 6) + 2 * plane.level) for k in (1, 2, 3, 4)]
    fat = rng.uniform(6, 16) * (0.7 + 0.5 * front) * (1 + sum(waves))
    canvas.paint(canvas.coverage(cage.distance - muscle - fat - 2), MUSCLE)  # skin
    canvas.paint(canvas.coverage(cage.distance - muscle - fat), FAT)
    streaks = 1 + 0.25 * smooth_noise(rng, plane.shape, 3 / plane.pixel_mm)
    canvas.paint(canvas.coverage(cage.distance - muscle), MUSCLE, streaks)
    sheet = np.abs(cage.distance - 0.62 * muscle + smooth_noise(rng, plane.shape, 15 / plane.pixel_mm))
    canvas.paint(canvas.coverage(sheet - 0.9), INNER_FAT)
    _paint_ribs(canvas, plane, cage, rng)


def _paint_ribs(canvas: Canvas, plane: Plane, cage: _Cage, rng: np.random.Generator) -> None:
    """Paint ribs and the cartilage in front, cut obliquely: from slice to slice they wander along the wall."""
    count, start, drift = int(rng.integers(9, 13)), rng.uniform(0, 6), rng.uniform(2, 4)
    turn = cage.angle * count / 2 + start + drift * plane.level + 0.5 * np.sin(3 * cage.angle + start)
    along = np.arcsin(np.sin(turn)) * (2 / count * 95)
    half_length = 8 + 5 * np.sin(2 * cage.angle + 2 * start + drift * plane.level)
    rib = ellipse_distance(along, cage.distance - 4.5, half_length, 3.4)
    canvas.paint(canvas.coverage(rib - 1), CORTEX)
    canvas.paint(canvas.coverage(rib + 0.8), MARROW, 0.75 + 0.25 * np.sin(5 * cage.angle))


def _paint_lungs(canvas: Canvas, plane: Plane, cage: _Cage, rng: np.random.Generator) -> None:
    inside = canvas.coverage(cage.distance)
    grain = 1 + 0.35 * smooth_noise(rng, plane.shape, 6 / plane.pixel_mm)
    haze = 0.5 * smooth_noise(rng, plane.shape, 40 / plane.pixel_mm)
    canvas.paint(inside, LUNG, grain + haze)
    hilum = np.exp(-length(plane.x - 30, plane.y + 20) / 35) * (1 - 0.6 * plane.level)
    for cell_mm, threshold in ((2.4, 2.75), (4.5, 2.9)):
        peaks = smooth_noise(rng, plane.shape, cell_mm / plane.pixel_mm) + 2.2 * hilum - threshold
        canvas.paint(inside * np.clip(peaks * 1.2, 0, 1), VESSEL)


def _paint_abdomen(canvas: Canvas, plane: Plane, cage: _Cage, rng: np.random.Generator) -> None:
    below = canvas.coverage(np.maximum(cage.diaphragm - plane.y, cage.distance))
    canvas.paint(below, MUSCLE)
    inside = canvas.coverage(np.maximum(cage.diaphragm + 3 - plane.y, cage.distance + 1))
    canvas.paint(inside, INNER_FAT, 1 + 0.1 * smooth_noise(rng, plane.shape, 8 / plane.pixel_mm))
    _paint_bowel(canvas, plane, inside, rng)
    _paint_organs(canvas, plane, cage, inside, rng)
    _paint_fat_pad(canvas, plane, cage, rng)


def _paint_bowel(canvas: Canvas, plane: Plane, inside: Image, rng: np.random.Generator) -> None:
    loops = smooth_noise(rng, plane.shape, 13 / plane.pixel_mm)
    content = np.clip(1 + 0.7 * smooth_noise(rng, plane.shape, 20 / plane.pixel_mm), 0.1, 2.2)
    canvas.paint(inside * np.clip(loops * 6 - 2, 0, 1), BOWEL, content)


def _paint_organs(canvas: Canvas, plane: Plane, cage: _Cage, inside: Image, rng: np.random.Generator) -> None:
    top = cage.diaphragm.min(axis=1, keepdims=True)
    grain = 1 + 0.06 * smooth_noise(rng, plane.shape, 5 / plane.pixel_mm)

    def organ(x: Image | float, y: Image | float, semi_x: Image | float, semi_y: float, tilt: float) -> Image:
        u, v = plane.x - x, plane.y - top - y
        c, s = math.cos(tilt), math.sin(tilt)
        return canvas.coverage(ellipse_distance(c * u + s * v, c * v - s * u, semi_x, semi_y)) * inside

    right = cage.left + 2 * cage.half_x
    spleen = organ(right - 24, rng.uniform(45, 60), 20.0, rng.uniform(38, 50), -0.35)
    canvas.paint(spleen, SPLEEN, grain)
    stomach = Tissue(float(rng.choice([0.05, 0.5, 0.9])))
    x, y = rng.uniform(25, 40), rng.uniform(26, 36)
    canvas.paint(organ(x, y, 27 + 6 * plane.level, 21.0, 0.4), BOWEL)
    canvas.paint(organ(x, y, 24 + 6 * plane.level, 18.0, 0.4), stomach, grain)
    liver = organ(cage.left + 30, rng.uniform(28, 36), 72 - 22 * plane.level, rng.uniform(38, 48), -0.12)
    canvas.paint(liver, LIVER, grain)
    vessels = smooth_noise(rng, plane.shape, 4 / plane.pixel_mm) - 2.0
    canvas.paint(liver * np.clip(2 * vessels, 0, 1), VESSEL)


def _paint_fat_pad(canvas: Canvas, plane: Plane, cage: _Cage, rng: np.random.Generator) -> None:
    """Paint the fat in the corner of chest wall and diaphragm, which grows towards the apex."""
    size = rng.uniform(14, 26) * (0.7 + plane.level)
    above, inward = cage.diaphragm - plane.y, plane.x - cage.left
    edge = 0.6 * (above + inward) - size - 3.5 * smooth_noise(rng, plane.shape, 14 / plane.pixel_mm)
    canvas.paint(canvas.coverage(np.maximum(np.maximum(edge, cage.distance), -above)), INNER_FAT)


def _paint_spine_and_aorta(canvas: Canvas, plane: Plane, cage: _Cage, rng: np.random.Generator) -> None:
    right = cage.left + 2 * cage.half_x
    x, y = right - rng.uniform(4, 12), rng.uniform(45, 65) + 20 * plane.level
    bone = ellipse_distance(plane.x - x, plane.y - y, 19.0, 24.0)
    grain = 1 + 0.15 * smooth_noise(rng, plane.shape, 3 / plane.pixel_mm)
    canvas.paint(canvas.coverage(bone - 3), MUSCLE)
    canvas.paint(canvas.coverage(bone), CORTEX)
    canvas.paint(canvas.coverage(bone + 2), VERTEBRA, grain)
    aorta = length(plane.x - x + 34, plane.y - y + 12) - rng.uniform(9.5, 12)
    canvas.paint(canvas.coverage(aorta - 1.5), MUSCLE)
    canvas.paint(canvas.coverage(aorta), AORTA, grain)

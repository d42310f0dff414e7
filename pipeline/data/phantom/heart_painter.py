"""From the heart's surfaces to pixels: blood, myocardium, papillary muscles, fat, and the share of each label."""

from __future__ import annotations

import numpy as np

from pipeline.data.phantom.canvas import Canvas, Image, Tissue, length, smooth_noise
from pipeline.data.phantom.heart import ABSENT_MM, ANGLES, N_ANGLES, Array, Heart, Surfaces, angle_to
from pipeline.data.phantom.torso import AORTA, INNER_FAT, Plane
from pipeline.labels import Structure

LV_BLOOD = Tissue(1.0)
RV_BLOOD = Tissue(0.86)
MYOCARDIUM = Tissue(0.40)

_RV_WALL_MM = 2.5
_LA_WALL_MM = 2.0
_TRABECULAE_MM = 5.0  # how deep the rough inner layer reaches into a cavity
_AORTA_ANGLE = np.deg2rad(48)  # the root lies between septum and anterior wall


def hull(surfaces: Surfaces) -> Array:
    """Return the heart's outermost radius at each depth and angle in mm, ``ABSENT_MM`` beyond its ends."""
    right = np.maximum(surfaces.rv, surfaces.ra) + _RV_WALL_MM
    outermost = np.maximum.reduce([right, surfaces.epi, surfaces.la + _LA_WALL_MM])
    return np.where(outermost > 0, outermost, ABSENT_MM)


def image_angles(rotation: float) -> Array:
    """Return the angle of each column of the surfaces, from image right towards image down; the septum lies left."""
    return ANGLES + np.pi + rotation


class HeartPainter:
    """Paints the heart of one patient, at any phase.

    Args:
        plane: the pixels' positions.
        heart: the anatomy.
        rotation: in-plane rotation of the heart in radians.
        rng: source of the patient's textures.
    """

    def __init__(self, plane: Plane, heart: Heart, rotation: float, rng: np.random.Generator) -> None:
        self._plane, self._heart, self._rotation = plane, heart, rotation
        self._radius: Image = length(plane.x, plane.y)
        turns = (np.arctan2(plane.y, plane.x) - (np.pi + rotation)) * (N_ANGLES / (2 * np.pi))
        rows = np.arange(plane.shape[0])[:, None, None]
        self._entry = np.rint(turns).astype(np.intp) % N_ANGLES + rows * N_ANGLES  # place in a raveled table of radii
        self._fat_mm = _fat_thickness(rng)
        self._muscle = 1 + 0.10 * smooth_noise(rng, plane.shape, 4 / plane.pixel_mm)
        self._rough = smooth_noise(rng, plane.shape, 3.5 / plane.pixel_mm)
        self._papillary_mm = rng.uniform(4.0, 6.0, size=2)

    def paint(self, canvas: Canvas, surfaces: Surfaces, flow: Image) -> dict[Structure, Image]:
        """Paint the heart over the torso.

        Args:
            canvas: the torso; painted on.
            surfaces: one depth for each slice.
            flow: factor on the blood's intensity, pixel by pixel.

        Returns:
            Share of each pixel inside the right ventricle, the myocardium and the left cavity; at most 1 together.
        """
        outer = hull(surfaces)
        canvas.paint(canvas.coverage(self._outside(outer + self._fat_mm)), INNER_FAT)
        canvas.paint(canvas.coverage(self._outside(outer)), MYOCARDIUM, self._muscle)
        canvas.paint(canvas.coverage(self._outside(np.maximum(surfaces.rv, surfaces.ra))), RV_BLOOD, flow)
        self._paint_trabeculae(canvas, surfaces.rv, roughness=1.3)
        wall = np.maximum(surfaces.epi, surfaces.la + _LA_WALL_MM)
        canvas.paint(canvas.coverage(self._outside(wall)), MYOCARDIUM, self._muscle)
        canvas.paint(canvas.coverage(self._outside(np.maximum(surfaces.endo, surfaces.la))), LV_BLOOD, flow)
        self._paint_trabeculae(canvas, surfaces.endo, roughness=0.8)
        self._paint_papillary_muscles(canvas, surfaces)
        self._paint_aortic_root(canvas, surfaces, flow)
        return self._shares(canvas, surfaces)

    def _shares(self, canvas: Canvas, surfaces: Surfaces) -> dict[Structure, Image]:
        endo = canvas.coverage(self._outside(surfaces.endo))
        epi = canvas.coverage(self._outside(surfaces.epi))
        rv = canvas.coverage(self._outside(surfaces.rv))
        return {Structure.RV: rv * (1 - epi), Structure.MYO: epi - endo, Structure.LV: endo}

    def _outside(self, radii: Array) -> Image:
        """Return how far each pixel lies outside a surface along the ray from the axis, in mm."""
        return np.asarray(self._radius - radii.astype(np.float32).ravel().take(self._entry))

    def _paint_trabeculae(self, canvas: Canvas, radii: Array, roughness: float) -> None:
        """Paint the rough layer of thin muscle strands inside a ventricle's wall, part of the cavity in the labels."""
        outside = self._outside(radii)
        layer = np.clip(1 + outside * (1 / _TRABECULAE_MM), 0, 1) * canvas.coverage(outside)
        strands = np.clip(roughness * (self._rough + 0.2), 0, 0.75)
        canvas.paint(layer * strands, MYOCARDIUM)

    def _paint_papillary_muscles(self, canvas: Canvas, surfaces: Surfaces) -> None:
        thickness = np.sin(np.clip((surfaces.level - 0.25) / 0.55, 0, 1) * np.pi) ** 0.5
        for angle, size_mm in zip(self._heart.papillary, self._papillary_mm, strict=True):
            column = round(angle / (2 * np.pi) * N_ANGLES) % N_ANGLES
            reach = np.clip(surfaces.endo[:, column] - 0.65 * size_mm, 0, None)
            radius = np.where(thickness > 0.1, size_mm * thickness, ABSENT_MM)
            self._paint_disk(canvas, angle, reach, radius, MYOCARDIUM)

    def _paint_aortic_root(self, canvas: Canvas, surfaces: Surfaces, flow: Image) -> None:
        """Paint the aorta in the slices above the left ventricle."""
        above = np.where((surfaces.level < 0) & (surfaces.level > -0.5), 13.0, ABSENT_MM)
        reach = np.full_like(above, 19.0)
        self._paint_disk(canvas, _AORTA_ANGLE, reach, above + _LA_WALL_MM, MYOCARDIUM)
        self._paint_disk(canvas, _AORTA_ANGLE, reach, above, AORTA, flow)

    def _paint_disk(
        self, canvas: Canvas, angle: float, reach: Array, radius: Array, tissue: Tissue, texture: Image | None = None
    ) -> None:
        """Paint a disk in each slice, its middle at a distance ``reach`` from the axis (mm, one a slice)."""
        direction = angle + np.pi + self._rotation
        x = (reach * np.cos(direction)).astype(np.float32)[:, None, None]
        y = (reach * np.sin(direction)).astype(np.float32)[:, None, None]
        outside = length(self._plane.x - x, self._plane.y - y) - radius.astype(np.float32)[:, None, None]
        canvas.paint(canvas.coverage(outside), tissue, texture)


def _fat_thickness(rng: np.random.Generator) -> Array:
    """Return the fat around the heart in mm by angle, shape ``(1, N_ANGLES)``: most beside the ends of the RV."""
    grooves = sum(np.exp(-((angle_to(angle) / 0.35) ** 2)) for angle in np.deg2rad([78.0, 290.0]))
    waves = sum(rng.normal(0, 0.7) * np.cos(k * ANGLES + rng.uniform(0, 2 * np.pi)) for k in (1, 2, 3))
    return np.asarray(np.clip(rng.uniform(1, 3) + rng.uniform(2, 5) * grooves + waves, 0.5, None))[None]

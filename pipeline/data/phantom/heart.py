"""The shape of a beating heart: ventricles as radii around the long axis, by phase and depth.

Every surface is a table of radii in mm, one row a depth along the long axis, one column an angle around it. Angle 0
points from the left ventricle to the middle of the septum, a quarter turn further is anterior, then lateral, then
inferior. Because all surfaces share the axis, each volume is a polynomial in one unknown (how far a wall has moved):
the volumes asked for are met by construction, without a search on the image grid.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Array = NDArray[np.float64]

N_ANGLES = 360
ANGLES: Array = np.linspace(0, 2 * np.pi, N_ANGLES, endpoint=False)

N_LEVELS = 48
LEVELS: Array = (np.arange(N_LEVELS) + 0.5) / N_LEVELS
"""Levels of the tables by share of a ventricle's length, 0 at its valve, 1 at its apex."""

ABSENT_MM = -1e3
"""Radius where a surface does not exist at a depth: no voxel lies inside."""

_EQUATOR = 0.25  # share of the length where the left ventricle is widest: a little below the valves
_APEX_WALL = 0.6  # the wall is thinner at the tip of the apex than at the side
_SHORTENING = 0.27  # long-axis shortening over ejection fraction: 16 % at a normal 60 %
_LA_HEIGHT_MM = 45.0
_RA_HEIGHT_MM = 50.0
_RV_DROP_MM = 3.0  # the tricuspid valve sits a little nearer to the apex than the mitral valve


@dataclass(frozen=True)
class Surfaces:
    """Radii in mm, each of shape ``(depths, N_ANGLES)``; ``ABSENT_MM`` where there is nothing.

    Attributes:
        endo: left ventricular cavity.
        epi: outer side of the left ventricular myocardium.
        rv: outer side of the right ventricular cavity, which lies between ``epi`` and it.
        la: left atrium, above the mitral valve.
        ra: outer side of the right atrium and outflow tract, above the tricuspid valve.
        level: shape ``(depths,)``, position along the left cavity, 0 at the mitral valve, 1 at the apex.
    """

    endo: Array
    epi: Array
    rv: Array
    la: Array
    ra: Array
    level: Array

    def rows(self, index: slice) -> Surfaces:
        """Return the surfaces at some of the depths."""
        return Surfaces(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


@dataclass(frozen=True)
class Heart:
    """One patient's heart at end-diastole and how it beats; ``draw_heart`` makes one at random.

    Attributes:
        edv_ml: left ventricular volume at end-diastole.
        ef: left ventricular ejection fraction, 0 to 1.
        myo_ml: volume of the myocardium, the same in all phases, since muscle does not compress.
        rv_edv_ml: right ventricular volume at end-diastole.
        rv_ef: right ventricular ejection fraction, 0 to 1.
        es_phase: phase of end-systole, as a share of the beat.
        length_mm: left cavity from valve plane to apex at end-diastole.
        outline: radius of the left cavity over its mean, shape ``(N_ANGLES,)``.
        wall: thickness of the wall over its mean, shape ``(N_LEVELS, N_ANGLES)``.
        motion: share of the contraction that takes part, same shape as ``wall``; near 0 in a scar.
        rv_length: length of the right ventricle over the left's.
        rv_halfwidth: angles in radians that the right ventricle covers to the anterior and to the inferior side.
        papillary: angles of the two papillary muscles in radians.
    """

    edv_ml: float
    ef: float
    myo_ml: float
    rv_edv_ml: float
    rv_ef: float
    es_phase: float
    length_mm: float
    outline: Array
    wall: Array
    motion: Array
    rv_length: float
    rv_halfwidth: tuple[float, float]
    papillary: tuple[float, float]

    def emptied(self, phase: float) -> float:
        """Return the share of the stroke volume outside the ventricles: 0 at phase 0, 1 at ``es_phase``, periodic."""
        return float(self._volume_curve(phase % 1.0))

    def lv_volume_ml(self, phase: float) -> float:
        """Return the volume of the left ventricular cavity at a phase."""
        return self.edv_ml * (1 - self.ef * self.emptied(phase))

    def rv_volume_ml(self, phase: float) -> float:
        """Return the volume of the right ventricular cavity at a phase."""
        return self.rv_edv_ml * (1 - self.rv_ef * self.emptied(phase))

    def valve_shift_mm(self, phase: float) -> float:
        """Return how far the mitral valve plane has moved to the apex, which itself stays where it is."""
        return _SHORTENING * self.ef * self.length_mm * self.emptied(phase)

    @property
    def extent_mm(self) -> float:
        """Length at end-diastole from the valve plane to the outer side of the apex."""
        return self.length_mm + _APEX_WALL * self._resting_wall_mm

    def surfaces(self, phase: float, depth_mm: Array) -> Surfaces:
        """Return the surfaces of the heart at one phase of the beat.

        Args:
            phase: share of the beat since end-diastole; only its fraction counts.
            depth_mm: shape ``(depths,)``, position along the long axis from the valve plane at end-diastole, positive
                towards the apex.

        Returns:
            The radii. They enclose ``lv_volume_ml(phase)``, ``myo_ml`` and ``rv_volume_ml(phase)``.
        """
        shift = self.valve_shift_mm(phase)
        cavity = self._cavity(phase)
        wall_mm, extent = self._wall(phase, cavity)
        girth = cavity + wall_mm
        below = depth_mm - shift
        rv_start, rv_length = self._rv_span(shift)
        reach = self._rv_reach_mm(self.rv_volume_ml(phase), girth, extent, shift)
        level = (depth_mm - rv_start) / rv_length
        rv = _radius(girth, (depth_mm - shift) / extent) + reach * self._rv_outline(level)
        return Surfaces(
            endo=_radius(cavity, below / (self.length_mm - shift)),
            epi=_radius(girth, below / extent),
            rv=np.where((level[:, None] >= 0) & (level[:, None] < 1), rv, ABSENT_MM),
            la=_dome(0.95 * self._valve_mm, -below, _LA_HEIGHT_MM),
            ra=_dome(self._ra_mm(girth, reach, phase), rv_start - depth_mm, _RA_HEIGHT_MM),
            level=below / (self.length_mm - shift),
        )

    @cached_property
    def _volume_curve(self) -> PchipInterpolator:
        # Ejection, fast filling, diastasis, filling by the atria. Monotone pieces keep ED and ES the extremes; a beat
        # on either side makes the curve smooth where it repeats.
        rest = 1.0 - self.es_phase
        phases = np.array([0.0, 0.5 * self.es_phase, *(self.es_phase + rest * np.array([0.0, 0.35, 0.75]))])
        shares = np.array([0.0, 0.55, 1.0, 0.35, 0.22])
        return PchipInterpolator(np.concatenate([phases - 1, phases, phases + 1]), np.tile(shares, 3))

    def _cavity(self, phase: float) -> Array:
        """Return the left cavity's radii before the taper to the apex, shape ``(N_LEVELS, N_ANGLES)``."""
        rest = np.broadcast_to(self.outline, self.motion.shape)
        moved = -rest * self.motion
        ed = _cross_sections(rest, moved)
        radius = np.sqrt(self.edv_ml * 1000.0 / (self.length_mm * ed[0]))
        length = self.length_mm - self.valve_shift_mm(phase)
        target = self.lv_volume_ml(phase) * 1000.0 / (length * radius**2)
        return radius * (rest + _solve(ed, target) * moved)

    @cached_property
    def _resting_wall_mm(self) -> float:
        return self._thickening(self._cavity(0.0), np.zeros_like(self.wall), self.wall, self.length_mm, 0.0)

    def _wall(self, phase: float, cavity: Array) -> tuple[Array, float]:
        """Return the wall's thickness by level and angle in mm, and the length from valve to outer apex."""
        length = self.length_mm - self.valve_shift_mm(phase)
        rest = self._resting_wall_mm * self.wall
        gain = self.motion * self.wall
        more = self._thickening(cavity, rest, gain, length, self._resting_wall_mm)
        return rest + more * gain, length + _APEX_WALL * (self._resting_wall_mm + more)

    def _thickening(self, cavity: Array, rest: Array, gain: Array, length: float, resting_mm: float) -> float:
        """Return by how many mm of ``gain`` the wall thickens so that it holds ``myo_ml``."""
        volume = (self.myo_ml + length * _cross_sections(cavity, cavity)[0] / 1000.0) * 1000.0
        c0, c1, c2 = _cross_sections(cavity + rest, gain)
        start = length + _APEX_WALL * resting_mm
        cubic = [_APEX_WALL * c2, start * c2 + _APEX_WALL * c1, start * c1 + _APEX_WALL * c0, start * c0 - volume]
        roots = np.roots(cubic)
        return float(roots[np.abs(roots.imag) < 1e-6].real.max())

    def _rv_span(self, shift: float) -> tuple[float, float]:
        """Return the depth of the tricuspid valve and the right ventricle's length, in mm."""
        start = _RV_DROP_MM + 1.2 * shift
        return start, self.rv_length * self.length_mm - start

    def _rv_outline(self, level: Array) -> Array:
        """Return the right ventricle's thickness over its largest: a bump around the septum, less to the apex."""
        level = np.clip(level, 0, 1)[:, None]
        angle = angle_to(0.0)
        anterior, inferior = self.rv_halfwidth
        halfwidth = np.where(angle > 0, anterior * (1.08 - 0.25 * level), inferior * (1.0 - 0.15 * level))
        bump = np.cos(np.clip(angle / halfwidth, -1, 1) * (np.pi / 2)) ** 1.15
        return np.asarray((1 - level**2) ** 0.9 * bump)

    @cached_property
    def _valve_mm(self) -> Array:
        """Radius of the left cavity at the mitral valve at end-diastole, shape ``(1, N_ANGLES)``."""
        return self._cavity(0.0)[:1] * _profile(np.zeros(1))

    def _ra_mm(self, girth: Array, reach: float, phase: float) -> Array:
        """Return the right atrium's radius at its valve: it continues the right ventricle and keeps its size."""
        outline = self._rv_outline(np.zeros(1))
        septum = (_radius(girth, np.zeros(1)) - self._valve_mm) * np.clip(4 * outline, 0, 1)
        return self._valve_mm + septum + reach * outline / np.sqrt(1 - self.rv_ef * self.emptied(phase))

    def _rv_reach_mm(self, volume_ml: float, girth: Array, extent: float, shift: float) -> float:
        start, length = self._rv_span(shift)
        inner = _radius(girth, (start + LEVELS * length - shift) / extent)
        outline = self._rv_outline(LEVELS)
        _, c1, c2 = _moments(inner, outline)
        return float(_solve((0.0, c1, c2), volume_ml * 1000.0 / length))


def angle_to(angle: float) -> Array:
    """Return how far each column of the tables lies from an angle, -pi to pi, shape ``(N_ANGLES,)``."""
    return np.asarray((ANGLES - angle + np.pi) % (2 * np.pi) - np.pi)


def _profile(level: Array) -> Array:
    """Return the taper of a ventricle, 1 at its equator, 0 at its apex: half an ellipse, cut off at the valves."""
    return np.sqrt(np.clip(1 - ((level - _EQUATOR) / (1 - _EQUATOR)) ** 2, 0, None))


def _radius(girth: Array, level: Array) -> Array:
    """Return the radii at each level of a ventricle from its table before tapering; absent outside 0 to 1."""
    position = np.clip(level * N_LEVELS - 0.5, 0, N_LEVELS - 1)
    below = np.minimum(position.astype(int), N_LEVELS - 2)
    share = (position - below)[:, None]
    table = girth[below] * (1 - share) + girth[below + 1] * share
    inside = ((level >= 0) & (level < 1))[:, None]
    return np.where(inside, table * _profile(level)[:, None], ABSENT_MM)


def _dome(radius: Array, height_mm: Array, top_mm: float) -> Array:
    """Return an atrium's radii at heights above its valve: half an ellipse on ``radius``, absent outside."""
    share = np.clip(height_mm / top_mm, 0, 1)[:, None]
    inside = (height_mm[:, None] > 0) & (share < 1)
    return np.where(inside, radius * np.sqrt(1 - share**2), ABSENT_MM)


def _moments(radius: Array, step: Array) -> tuple[float, float, float]:
    """Return ``c`` so that ``radius + x * step`` has the mean cross-section ``c0 + c1 x + c2 x²``."""
    c0, c1, c2 = (float(np.pi * np.mean(term)) for term in (radius**2, 2 * radius * step, step**2))
    return c0, c1, c2


def _cross_sections(girth: Array, step: Array) -> tuple[float, float, float]:
    """Return ``_moments`` of a ventricle that tapers to its apex."""
    taper = _profile(LEVELS)[:, None]
    return _moments(girth * taper, step * taper)


def _solve(quadratic: tuple[float, float, float], target: float) -> float:
    """Return the ``x`` of smallest size with ``c0 + c1 x + c2 x² = target``."""
    c0, c1, c2 = quadratic
    root = np.sqrt(c1**2 - 4 * c2 * (c0 - target))
    return float(2 * (target - c0) / (c1 + np.copysign(root, c1)))

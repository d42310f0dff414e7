"""The chart of ventricular volume over the heart beat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from pipeline.metrics.function import CardiacFunction
from pipeline.reporting.axis import Axis, axis_around

MIN_PHASES = 3
"""Fewer phases make no curve: a line between end-diastole and end-systole would show what nobody measured."""

WIDTH, HEIGHT = 460, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 440, 40, 226


class BeatTimes(NamedTuple):
    """Where the phases lie in the beat: in ms after the R wave, or by their numbers from 1."""

    places: tuple[float, ...]
    in_ms: bool


@dataclass(frozen=True)
class Curve:
    """Volume of one ventricle: its key (``"lv"``), its name, and the places of its points."""

    key: str
    name: str
    points: tuple[tuple[float, float], ...]

    @property
    def line(self) -> str:
        """The points as SVG's polyline wants them."""
        return " ".join(f"{x},{y}" for x, y in self.points)


@dataclass(frozen=True)
class PhaseMark:
    """One phase with a name: where it lies along the time axis and on the LV curve."""

    name: str
    x: float
    y: float


@dataclass(frozen=True)
class VolumeCurve:
    """Geometry of the chart, in units of its view box ``WIDTH`` x ``HEIGHT``."""

    x: Axis
    y: Axis
    x_title: str
    curves: tuple[Curve, ...]
    marks: tuple[PhaseMark, ...]
    description: str
    width: int = WIDTH
    height: int = HEIGHT


def volume_curve(function: CardiacFunction) -> VolumeCurve | None:
    """Lay out the volumes of both ventricles over time, with end-diastole and end-systole marked on the LV's.

    Args:
        function: of the study.

    Returns:
        The chart, with milliseconds where the times of the phases are known and rise, else with the number of the phase
        from 1. None where there are fewer than ``MIN_PHASES`` phases.
    """
    if len(function.lv_ml) < MIN_PHASES:
        return None
    beat = beat_times(function)
    x = axis_around(beat.places, _LEFT, _RIGHT, num_steps=6, min_step=1.0)
    y = axis_around((0.0, 1.0, *function.lv_ml, *function.rv_ml), _BOTTOM, _TOP)
    curves = tuple(
        Curve(key, name, tuple((x.place(time), y.place(ml)) for time, ml in zip(beat.places, volumes, strict=True)))
        for key, name, volumes in (("lv", "LV", function.lv_ml), ("rv", "RV", function.rv_ml))
    )
    marks = tuple(
        PhaseMark(name, x.place(beat.places[phase]), y.place(function.lv_ml[phase]))
        for name, phase in (("ED", function.ed_phase), ("ES", function.es_phase))
    )
    x_title = "time after the R wave, ms" if beat.in_ms else "phase"
    return VolumeCurve(x, y, x_title, curves, marks, _describe(function))


def beat_times(function: CardiacFunction) -> BeatTimes:
    """Return when each phase was taken: in ms where the times are known and rise, else its number from 1."""
    times = function.phase_times_ms or ()
    rising = all(math.isfinite(time) for time in times) and all(a < b for a, b in pairwise(times))
    if times and rising:
        return BeatTimes(tuple(times), True)
    return BeatTimes(tuple(float(phase + 1) for phase in range(len(function.lv_ml))), False)


def name_phase(function: CardiacFunction, phase: int) -> str:
    """Return how a reader finds a phase: its number from 1, and its time where it is known."""
    beat = beat_times(function)
    name = f"phase {phase + 1} of {len(beat.places)}"
    return f"{name}, {beat.places[phase]:.0f} ms" if beat.in_ms else name


def _describe(function: CardiacFunction) -> str:
    ed, es = function.ed_phase, function.es_phase
    return (
        f"Volume over the heart beat. LV: {function.lv_ml[ed]:.0f} mL at end-diastole ({name_phase(function, ed)}), "
        f"{function.lv_ml[es]:.0f} mL at end-systole ({name_phase(function, es)}). "
        f"RV at the same phases: {function.rv_ml[ed]:.0f} and {function.rv_ml[es]:.0f} mL."
    )

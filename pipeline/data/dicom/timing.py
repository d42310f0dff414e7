"""Puts the images of each slice into the order of the heart beat, and fills in the phases that a slice lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dicom.cine import Repair
from pipeline.data.dicom.frame import Frame
from pipeline.data.dicom.rules import plural, require_half

Slices = list[list[Frame]]
Value = Callable[[Frame], float | None]

SURPLUS = 1.25
"""A slice with so many times the phases of most slices sets no measure for them."""


@dataclass(frozen=True)
class Clock:
    """What tells the phases of a slice apart.

    Attributes:
        name: DICOM's name of it.
        value: its value for an image.
        in_ms: it is a time in ms after the R wave.
        from_first: only differences within a slice mean something.
    """

    name: str
    value: Value
    in_ms: bool = False
    from_first: bool = False


CLOCKS = (
    Clock("TriggerTime", lambda frame: frame.trigger_time, in_ms=True),
    Clock("TemporalPositionIdentifier", lambda frame: frame.temporal_position),
    Clock("NominalCardiacTriggerDelayTime", lambda frame: frame.trigger_delay, in_ms=True),
    Clock("AcquisitionTime", lambda frame: frame.acquisition_time, from_first=True),
    Clock("InstanceNumber", lambda frame: frame.instance_number, from_first=True),
)
"""In the order in which they are trusted."""


def choose_clock(slices: Sequence[Sequence[Frame]]) -> Clock:
    """Return the first clock that every image has and that tells the images of each slice apart.

    Some images may share a value: the same image acquired twice. The last clock is taken where none does.
    """
    return next((clock for clock in CLOCKS if all(_tells_apart(clock, frames) for frames in slices)), CLOCKS[-1])


def _tells_apart(clock: Clock, frames: Sequence[Frame]) -> bool:
    values = {clock.value(frame) for frame in frames}
    return None not in values and (len(frames) == 1 or len(values) >= max(2, (len(frames) + 1) // 2))


def order_phases(slices: Sequence[Sequence[Frame]], clock: Clock) -> tuple[Slices, list[Repair]]:
    """Sort the images of each slice by time; of several of one time the last acquired stays.

    A slice that has no more images than others have times keeps all: some of its times were rounded to the same.
    """
    latest = [_latest(frames, clock) for frames in slices]
    usual = Counter(len(frames) for frames in latest)
    phases = max(usual, key=lambda count: (usual[count], count))
    kept = [list(frames) if len(frames) <= phases else last for frames, last in zip(slices, latest, strict=True)]
    ordered = [sorted(frames, key=lambda frame: (clock.value(frame) or 0.0, *frame.age)) for frames in kept]
    repeated = sum(len(frames) for frames in slices) - sum(len(frames) for frames in ordered)
    if not repeated:
        return ordered, []
    problem = f"{plural(repeated, 'image')} have the position and time of another"
    return ordered, [Repair(problem, "the last acquired counts")]


def _latest(frames: Sequence[Frame], clock: Clock) -> list[Frame]:
    latest: dict[object, Frame] = {}
    for frame in sorted(frames, key=lambda frame: frame.age):
        latest[_moment(frame, clock)] = frame
    return list(latest.values())


def _moment(frame: Frame, clock: Clock) -> object:
    """Return what two images share that show the same moment of the beat."""
    if not clock.from_first:
        return frame.trigger_time, frame.temporal_position, frame.trigger_delay
    return clock.value(frame) if clock.value(frame) is not None else (frame.path, frame.number)


def even_phases(slices: Slices, clock: Clock, where: str) -> tuple[Slices, list[Repair]]:
    """Give each slice as many phases as the fullest slice has, see ``SURPLUS``.

    A slice with others takes for each phase its image that is nearest in the heart beat.

    Args:
        slices: the images of each slice in the order of time.
        clock: what the order goes by.
        where: the study, for messages.

    Raises:
        InputError: a slice has less than half of the phases.
    """
    phases = _usual_phases(slices)
    # times in ms say more than counted positions, where the images have both
    in_ms = next((ms for ms in CLOCKS if ms.in_ms and all(_has_times(ms, frames) for frames in slices)), clock)
    full = [_beat(frames, in_ms, phases) for frames in slices if len(frames) == phases]
    target = np.median(np.array(full), axis=0)
    evened, repairs = [], []
    for index, frames in enumerate(slices):
        if len(frames) == phases:
            evened.append(frames)
            continue
        require_half(len(frames), phases, "phases", f"{where}, slice {index + 1}, {frames[0].path}")
        nearest, distance = _nearest(target, _beat(frames, in_ms, phases))
        evened.append([frames[place] for place in nearest])
        problem = f"slice {index + 1} of {len(slices)} has {len(frames)} phases instead of {phases}"
        repairs.append(Repair(problem, f"each phase takes its image nearest in time, at most {distance:.0%} of a beat"))
    return evened, repairs


def _usual_phases(slices: Slices) -> int:
    """Return the most phases that a slice has, without slices that have far more than most."""
    counts = Counter(len(frames) for frames in slices)
    most_common = max(counts, key=lambda count: (counts[count], count))
    # where images were lost from most slices, the largest number is the true one
    return max(count for count in counts if count <= SURPLUS * most_common)


def _has_times(clock: Clock, frames: Sequence[Frame]) -> bool:
    values = [clock.value(frame) for frame in frames]
    return None not in values and len(set(values)) == len(values)


def _beat(frames: Sequence[Frame], clock: Clock, phases: int) -> NDArray[np.float64]:
    """Return the times of a slice's images as part of its heart beat, in [0, 1)."""
    times = np.array([clock.value(frame) or 0.0 for frame in frames])
    if clock.from_first:
        times = times - times[0]
    step = float(np.median(np.diff(times))) if times.size > 1 else 0.0
    period = step * phases
    rr = frames[0].header.rr_interval_ms
    if clock.in_ms and rr is not None and rr > times[-1]:
        period = rr
    return times / period if period > 0 else np.arange(times.size) / max(times.size, 1)


def _nearest(target: NDArray[np.float64], times: NDArray[np.float64]) -> tuple[list[int], float]:
    """Return for each target the place of the nearest time, and the largest distance; the beat ends where it begins."""
    apart = np.abs(target[:, None] - times[None, :]) % 1.0
    apart = np.minimum(apart, 1.0 - apart)
    return [int(place) for place in apart.argmin(axis=1)], float(apart.min(axis=1).max())


def phase_times_ms(slices: Slices) -> tuple[float, ...] | None:
    """Return the time of each phase after the R wave in ms, the median of the slices; None where it is not known.

    The heart rate differs a little from breath-hold to breath-hold, and the times of a phase with it.
    """
    for clock in (clock for clock in CLOCKS if clock.in_ms):
        values = [[clock.value(frame) for frame in frames] for frames in slices]
        if any(value is None for row in values for value in row):
            continue
        times = np.median(np.array(values, dtype=np.float64), axis=0)
        if times.size == 1 or bool((np.diff(times) > 0).all()):
            return tuple(round(float(time), 3) for time in times)
    return None

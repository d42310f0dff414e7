"""The rules for broken studies: one each, which repairs and says so, or refuses and names the file.

=====================================  ===============================================================================
what is broken                         rule
=====================================  ===============================================================================
file cut off, damaged, encrypted       left out; the rule for missing phases decides whether the rest suffices
one object under two file names        read once
UIDs that break DICOM's rules          taken as they are: they need only be equal or different
spacing, position or orientation       taken from an image of the same slice and series that states it, else the image
missing in an image                    is left out; refused where no image of the series states it
spacing beyond ``PIXEL_SPACING_MM``    refused
orientation that is none               refused
rescale slope of 0                     refused
more images claimed than can be        left out
slice of another size or direction     left out
slice far off the others               left out; refused where less than half of the slices remain
slice acquired more than once          the most complete acquisition counts, among equals the last
image acquired more than once          the last counts
phases missing in a slice              each takes the image nearest in time; refused below half of the phases
slice missing within the stack         positions stay as they are, no image is invented
slices not at equal distances          positions stay as they are, the affine has the mean distance
=====================================  ===============================================================================
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from pipeline.data.dicom.cine import Repair
from pipeline.data.dicom.frame import Frame
from pipeline.errors import InputError

PIXEL_SPACING_MM = (0.1, 20.0)
"""Distances of pixels that a heart can be imaged with, generously."""

SLICE_DISTANCE_MM = (0.3, 60.0)
"""Distances of slices, generously."""

MAX_PIXELS = 4096
"""Largest number of rows or columns."""

UNIT_TOLERANCE = 0.01
"""How far the direction cosines may be from length 1 and from a right angle."""

MIN_CINE_PHASES = 5
"""Fewer phases are no cine."""

Frames = list[Frame]
Repairs = list[Repair]


def name_of(frames: Sequence[Frame]) -> str:
    """Return the path of the first of some images, and how many more there are, for a message."""
    more = f" and {len(frames) - 1} more" if len(frames) > 1 else ""
    return f"{frames[0].path}{more}"


def plural(count: int, noun: str) -> str:
    """Return such as ``"1 image"``, ``"2 images"``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def leave_out_damaged(frames: Iterable[Frame]) -> tuple[Frames, Repairs]:
    """Leave out the images whose pixels cannot be read."""
    all_frames = list(frames)
    bad = [frame for frame in all_frames if frame.header.damage]
    if not bad:
        return all_frames, []
    # a repair reaches reports, and names of files may be names of patients
    files = len({frame.path for frame in bad})
    problem = f"{plural(files, 'file')} cannot be read: {bad[0].header.damage}"
    return [frame for frame in all_frames if not frame.header.damage], [Repair(problem, "left out")]


def read_copies_once(frames: Iterable[Frame]) -> tuple[Frames, Repairs]:
    """Keep the first of several files that hold the same object.

    Images of one UID that differ in series, size, position, time or number are different images with an invalid UID,
    and stay.
    """
    all_frames = list(frames)
    # of an image that is cut off in one file, the other file counts
    order = sorted(range(len(all_frames)), key=lambda index: bool(all_frames[index].header.damage))
    first: dict[object, int] = {}
    for index in order:
        frame = all_frames[index]
        uid = frame.header.sop_instance_uid or frame.path
        place = (frame.series, frame.rows, frame.columns, frame.position, frame.trigger_time, frame.instance_number)
        first.setdefault((uid, frame.number, *place), index)
    kept = [all_frames[index] for index in sorted(first.values())]
    copies = len(all_frames) - len(kept)
    if not copies:
        return kept, []
    return kept, [Repair(f"{plural(copies, 'image')} in the folder twice, under another name", "read once")]


def complete_geometry(frames: Iterable[Frame]) -> tuple[Frames, Repairs]:
    """Give images of a series what they do not state of their grid, from an image of the same slice.

    Images whose grid stays unknown are left out, unless no image of the series states it: then all are returned as they
    are, for :func:`missing_geometry` to tell.
    """
    all_frames = list(frames)
    if all(_has_grid(frame) for frame in all_frames):
        return all_frames, []
    known = [frame for frame in all_frames if _has_grid(frame)]
    if not known:
        return all_frames, []
    by_slice: dict[float | None, Frame] = {
        frame.slice_location: frame for frame in known if frame.slice_location is not None
    }
    done = [_completed(frame, by_slice, known) for frame in all_frames]
    kept = [frame for frame in done if _has_grid(frame)]
    repairs = []
    mended, dropped = len(kept) - len(known), len(all_frames) - len(kept)
    if mended:
        resolution = "taken from another image of the same slice"
        repairs.append(Repair(f"{plural(mended, 'image')} without spacing, position or orientation", resolution))
    if dropped:
        repairs.append(Repair(f"{plural(dropped, 'image')} without spacing, position or orientation", "left out"))
    return kept, repairs


def _has_grid(frame: Frame) -> bool:
    return frame.position is not None and frame.orientation is not None and frame.pixel_spacing is not None


def _completed(frame: Frame, by_slice: dict[float | None, Frame], known: Frames) -> Frame:
    if _has_grid(frame):
        return frame
    sibling = by_slice.get(frame.slice_location)
    if sibling is None and frame.position is not None:
        sibling = next((other for other in known if other.position == frame.position), None)
    if sibling is None or (sibling.rows, sibling.columns) != (frame.rows, frame.columns):
        return frame
    return replace(
        frame,
        position=frame.position or sibling.position,
        orientation=frame.orientation or sibling.orientation,
        pixel_spacing=frame.pixel_spacing or sibling.pixel_spacing,
    )


def missing_geometry(frames: Sequence[Frame]) -> str:
    """Return what the images do not state of their grid, with a file, or an empty text."""
    tags = {
        "PixelSpacing": [frame for frame in frames if frame.pixel_spacing is None],
        "ImagePositionPatient": [frame for frame in frames if frame.position is None],
        "ImageOrientationPatient": [frame for frame in frames if frame.orientation is None],
    }
    for tag, without in tags.items():
        if without:
            return f"{tag} is missing in {name_of(without)}: the images have no place in the patient"
    return ""


def impossible_geometry(frames: Sequence[Frame]) -> str:
    """Return why the grid of the images cannot be, with a file, or an empty text."""
    for frame in frames:
        spacing = frame.pixel_spacing or ()
        if not all(PIXEL_SPACING_MM[0] <= mm <= PIXEL_SPACING_MM[1] for mm in spacing):
            low, high = PIXEL_SPACING_MM
            return f"PixelSpacing must be {low:g} to {high:g} mm, got {_shown(spacing)} mm in {frame.path}"
        if frame.orientation is not None and not _is_orthonormal(frame.orientation):
            return (
                "ImageOrientationPatient must be two unit vectors at a right angle, got "
                f"{_shown(frame.orientation)} in {frame.path}"
            )
        if max(frame.rows, frame.columns) > MAX_PIXELS:
            return (
                f"an image must have at most {MAX_PIXELS} rows and columns, got {frame.rows} x {frame.columns} in "
                + (frame.path)
            )
    return ""


def _is_orthonormal(orientation: Sequence[float]) -> bool:
    row, column = np.asarray(orientation[:3]), np.asarray(orientation[3:])
    errors = (np.linalg.norm(row) - 1, np.linalg.norm(column) - 1, row @ column)
    return bool(max(abs(error) for error in errors) <= UNIT_TOLERANCE)


def _shown(values: Sequence[float]) -> str:
    return " x ".join(f"{value:g}" for value in values)


def choose_acquisition(frames: Frames) -> Frames:
    """Return the most complete acquisition of a slice, among equals the last; all images where there is only one.

    An acquisition is a series; within a series it is an acquisition number, if several of them run over the same part
    of the heart beat.
    """
    by_series = _split(frames, lambda frame: frame.series)
    chosen = max(by_series, key=_completeness)
    runs = _split(chosen, lambda frame: frame.header.acquisition_number)
    if len(runs) > 1 and min(len(run) for run in runs) >= MIN_CINE_PHASES and _overlap(runs):
        return max(runs, key=_completeness)
    return chosen


def _split(frames: Frames, key: Callable[[Frame], object]) -> list[Frames]:
    parts: dict[object, Frames] = defaultdict(list)
    for frame in frames:
        parts[key(frame)].append(frame)
    return list(parts.values())


def _completeness(frames: Frames) -> tuple[int, float, tuple[float, float, float, str]]:
    number = max((frame.header.series_number or 0 for frame in frames), default=0)
    return len(frames), number, max(frame.age for frame in frames)


def _overlap(runs: list[Frames]) -> bool:
    """Tell whether the runs cover the same time after the R wave, so that each is a whole beat."""
    times = [[frame.trigger_time for frame in run if frame.trigger_time is not None] for run in runs]
    if not all(times):
        return False
    return max(min(run) for run in times) < min(max(run) for run in times)


def require_half(found: int, needed: int, what: str, where: str) -> None:
    """Raise where less than half of something is there.

    Raises:
        InputError: ``2 * found < needed``.
    """
    if 2 * found < needed:
        raise InputError(
            f"{where}: {found} of {needed} {what} are too few (at least half are needed). Export the study again, "
            "or take these images out."
        )


def require_slice_distance(distance_mm: float, where: str) -> None:
    """Raise where slices cannot be so far apart.

    Raises:
        InputError: the distance is not within ``SLICE_DISTANCE_MM``, or no number.
    """
    low, high = SLICE_DISTANCE_MM
    if not (math.isfinite(distance_mm) and low <= distance_mm <= high):
        raise InputError(f"{where}: slices must be {low:g} to {high:g} mm apart, got {distance_mm:g} mm.")

"""Sorts the images of a study into groups that could be one stack each: same series, directions, size and contrast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dicom.cine import Repair
from pipeline.data.dicom.frame import Frame, Vector
from pipeline.data.dicom.rules import complete_geometry, impossible_geometry, missing_geometry, read_copies_once

SAME_SLICE_MM = 0.2
"""Images closer than this along the normal show the same slice."""

SAME_SLICE_SHARE = 0.2
"""So do images closer than this share of the distance of slices: a slice that was planned again."""

SAME_DIRECTION_DEG = 1.0
"""Images whose rows and columns differ by less are parallel."""

SAME_SPACING = 1e-3
"""Relative difference of pixel spacings that headers round away."""


@dataclass(frozen=True, eq=False)
class Group:
    """Images that could be one stack: parallel, of one size and spacing.

    Attributes:
        frames: the images.
        repairs: what was mended on the way.
        problem: why they cannot be a stack (their grid is unknown or impossible), empty where they can.
    """

    frames: tuple[Frame, ...]
    repairs: tuple[Repair, ...] = ()
    problem: str = ""

    @cached_property
    def series(self) -> tuple[str, ...]:
        """The series that they come from, in the order of the slices."""
        return tuple(dict.fromkeys(frame.series for slice_frames in self.slices for frame in slice_frames))

    @cached_property
    def slices(self) -> tuple[tuple[Frame, ...], ...]:
        """The images of each position, from the lowest to the highest along the normal."""
        if any(frame.position is None or frame.orientation is None for frame in self.frames):
            return (self.frames,)
        heights = np.array([frame.position for frame in self.frames]) @ self.normal
        order = np.argsort(heights, kind="stable")
        gaps = np.diff(heights[order])
        usual = float(np.median(gaps[gaps > SAME_SLICE_MM])) if (gaps > SAME_SLICE_MM).any() else 0.0
        cuts = np.flatnonzero(gaps > max(SAME_SLICE_MM, SAME_SLICE_SHARE * usual)) + 1
        return tuple(tuple(self.frames[index] for index in part) for part in np.split(order, cuts))

    @cached_property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector (LPS) of the slices: along the rows, turned to along the columns."""
        return normal_of(self.frames[0])

    @cached_property
    def phases(self) -> int:
        """How many images most slices have."""
        counts = Counter(len(frames) for frames in self.slices)
        return max(counts, key=lambda count: (counts[count], count))

    @property
    def first(self) -> Frame:
        """An image that stands for all."""
        return self.frames[0]


def normal_of(frame: Frame) -> NDArray[np.float64]:
    """Return the unit vector (LPS) perpendicular to an image whose orientation is known."""
    row, column = directions(frame)
    normal: NDArray[np.float64] = np.cross(row, column)
    return normal


def directions(frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the directions along a row and along a column, of length 1 and at a right angle (LPS)."""
    row, column = np.asarray(frame.orientation[:3]), np.asarray(frame.orientation[3:])  # type: ignore[index]
    row = row / max(float(np.linalg.norm(row)), 1e-12)
    column = column - (column @ row) * row
    return row, column / max(float(np.linalg.norm(column)), 1e-12)


def group_images(frames: Sequence[Frame]) -> list[Group]:
    """Return the groups of a study's images, in the order of series numbers, the largest first within a series.

    Args:
        frames: images of one study.
    """
    frames_once, copies = read_copies_once(frames)
    by_series: dict[str, list[Frame]] = {}
    for frame in frames_once:
        by_series.setdefault(frame.series, []).append(frame)
    groups = [group for images in by_series.values() for group in _series_groups(images)]
    if copies and groups:
        largest = max(range(len(groups)), key=lambda index: len(groups[index].frames))
        group = groups[largest]
        groups[largest] = Group(group.frames, (*copies, *group.repairs), group.problem)
    return sorted(groups, key=lambda group: (group.first.header.series_number or 0, -len(group.frames)))


def _series_groups(frames: list[Frame]) -> list[Group]:
    completed, repairs = complete_geometry(frames)
    problem = missing_geometry(completed)
    if problem:
        return [Group(tuple(completed), tuple(repairs), problem)]
    parts: list[list[Frame]] = []
    for same in _by_format(completed):
        parts += _by_direction(same)
    parts.sort(key=len, reverse=True)
    return [
        Group(tuple(part), tuple(repairs) if index == 0 else (), impossible_geometry(part))
        for index, part in enumerate(parts)
    ]


def _by_format(frames: list[Frame]) -> list[list[Frame]]:
    parts: dict[tuple[object, ...], list[Frame]] = {}
    for frame in frames:
        parts.setdefault((frame.rows, frame.columns, frame.samples, frame.velocity), []).append(frame)
    return [same for part in parts.values() for same in _cluster(part, lambda frame: frame.pixel_spacing, same_spacing)]


def _by_direction(frames: list[Frame]) -> list[list[Frame]]:
    return _cluster(frames, lambda frame: frame.orientation, is_parallel)


def _cluster(
    frames: list[Frame], value: Callable[[Frame], Vector | None], same: Callable[[Vector, Vector], bool]
) -> list[list[Frame]]:
    """Put each image to the first whose value is the same but for rounding."""
    parts: dict[Vector, list[Frame]] = {}
    homes: dict[Vector, Vector] = {}
    for frame in frames:
        own = value(frame) or ()
        # most images share the exact values of one before them
        if own not in homes:
            homes[own] = next((other for other in parts if same(own, other)), own)
        parts.setdefault(homes[own], []).append(frame)
    return list(parts.values())


def same_spacing(spacing: Vector, other: Vector) -> bool:
    """Tell whether two pixel spacings are the same but for rounding, see ``SAME_SPACING``."""
    return all(abs(one - two) <= SAME_SPACING * abs(two) for one, two in zip(spacing, other, strict=True))


def is_parallel(orientation: Vector, other: Vector) -> bool:
    """Tell whether two images have the same directions along rows and along columns, see ``SAME_DIRECTION_DEG``."""
    limit = np.cos(np.deg2rad(SAME_DIRECTION_DEG))
    one, two = np.asarray(orientation), np.asarray(other)
    return bool(one[:3] @ two[:3] >= limit and one[3:] @ two[3:] >= limit)


def merge_single_slices(groups: Sequence[Group], is_cine: Sequence[bool]) -> list[Group]:
    """Make one group of the cines that have one slice each and agree in directions, size and spacing.

    Args:
        groups: the groups of a study.
        is_cine: for each group, whether it is a cine.

    Returns:
        The groups that stay as they are, and the merged ones in the place of their first part.
    """
    merged: list[list[Group]] = []
    homes: list[list[Group]] = []
    for group, cine in zip(groups, is_cine, strict=True):
        single = cine and not group.problem and len(group.slices) == 1
        home = next((parts for parts in homes if single and _agree(parts[0].first, group.first)), None)
        if home is not None:
            home.append(group)
            continue
        merged.append([group])
        if single:
            homes.append(merged[-1])
    return [parts[0] if len(parts) == 1 else _join(parts) for parts in merged]


def _agree(one: Frame, other: Frame) -> bool:
    return (
        (one.rows, one.columns) == (other.rows, other.columns)
        and same_spacing(one.pixel_spacing or (), other.pixel_spacing or ())
        and is_parallel(one.orientation or (), other.orientation or ())
    )


def _join(parts: Sequence[Group]) -> Group:
    frames = tuple(frame for part in parts for frame in part.frames)
    return Group(frames, tuple(repair for part in parts for repair in part.repairs))

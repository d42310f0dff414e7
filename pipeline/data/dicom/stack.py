"""Builds a cine stack of the images that were chosen: slices by position, phases by time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dicom.cine import CineStack, Repair, SourceFrame
from pipeline.data.dicom.frame import Frame
from pipeline.data.dicom.patient import heart_rate_bpm, height_cm, weight_kg
from pipeline.data.dicom.rules import (
    choose_acquisition,
    leave_out_damaged,
    plural,
    require_half,
    require_slice_distance,
)
from pipeline.data.dicom.series import Group, directions, is_parallel, same_spacing
from pipeline.data.dicom.timing import Slices, choose_clock, even_phases, order_phases, phase_times_ms
from pipeline.errors import InputError

DISTANCE_TOLERANCE = 0.05
"""Relative difference of slice distances that positions in a header round away."""

STRAY_DISTANCES = 3.5
"""A slice further from the others than so many distances of slices is none of the stack."""

IN_PLANE_TOLERANCE_MM = 0.5
"""How far slices may lie beside the normal through the first without a word."""

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


def build_stack(group: Group, others: Sequence[Group], where: str, reason: str) -> CineStack:
    """Return the cine stack of a group of images.

    Args:
        group: the chosen images.
        others: the study's other groups, to tell of images of the same series that are left out.
        where: the study's folder, for messages.
        reason: why the group was chosen.

    Raises:
        InputError: the study breaks a rule that cannot be mended, see ``pipeline.data.dicom.rules``.
    """
    if group.problem:
        raise InputError(f"{where} cannot be read: {group.problem}. Export the study again, or take these images out.")
    repairs = [*group.repairs, *_left_out(group, others)]
    usable, damaged = leave_out_damaged(group.frames)
    require_half(len(usable), len(group.frames), "images", f"{where}, {_first_damaged(group)}")
    slices, strays = _drop_strays(Group(tuple(usable)).slices, where)
    slices, repeats = _single_acquisitions(slices)
    clock = choose_clock(slices)
    slices, same_times = order_phases(slices, clock)
    slices, missing = even_phases(slices, clock, where)
    affine, uneven = _affine(slices, where)
    repairs += [*damaged, *strays, *repeats, *same_times, *missing, *uneven]
    return _as_stack(slices, affine, reason, repairs)


def _as_stack(slices: Slices, affine: NDArray[np.float64], reason: str, repairs: list[Repair]) -> CineStack:
    first = slices[0][0]
    frames = [frame for row in slices for frame in row]
    series = dict.fromkeys(frame.header.series_uid for frame in frames)
    height, height_repairs = height_cm(first.header.patient_size)
    return CineStack(
        study_instance_uid=first.header.study_uid,
        series_instance_uids=tuple(series),
        series_description=first.header.series_description,
        shape=(first.columns, first.rows, len(slices), len(slices[0])),
        affine=affine,
        frames=tuple(tuple(_source(frame) for frame in row) for row in slices),
        phase_times_ms=phase_times_ms(slices),
        heart_rate_bpm=heart_rate_bpm(frames),
        height_cm=height,
        weight_kg=weight_kg(first.header.patient_weight_kg),
        reason=reason,
        repairs=(*repairs, *height_repairs),
        slice_positions_mm=_slice_positions_mm(slices),
    )


def _source(frame: Frame) -> SourceFrame:
    return SourceFrame(frame.path, frame.header.sop_class_uid, frame.header.sop_instance_uid, frame.number)


def _left_out(group: Group, others: Sequence[Group]) -> list[Repair]:
    """Return what is said of images of the same series that lie otherwise."""
    mine = set(group.series)
    repairs = []
    for other in others:
        frames = [frame for frame in other.frames if frame.series in mine]
        if other is group or not frames:
            continue
        repairs.append(Repair(f"{plural(len(frames), 'image')} of the series {_difference(group, other)}", "left out"))
    return repairs


def _difference(group: Group, other: Group) -> str:
    one, two = group.first, other.first
    if other.problem:
        return "cannot be placed: their grid is not known or cannot be"
    if (one.rows, one.columns) != (two.rows, two.columns):
        return f"have another size, {two.columns} x {two.rows} instead of {one.columns} x {one.rows} pixels"
    if not is_parallel(one.orientation or (), two.orientation or ()):
        return "have another orientation"
    if not same_spacing(one.pixel_spacing or (), two.pixel_spacing or ()):
        return "have another pixel spacing"
    return "show velocities" if two.velocity else "are of another kind"


def _first_damaged(group: Group) -> str:
    bad = next((frame for frame in group.frames if frame.header.damage), None)
    return f"{bad.path} ({bad.header.damage})" if bad else group.first.path


def _heights(slices: Sequence[Sequence[Frame]]) -> NDArray[np.float64]:
    """Return where the slices lie along the normal, in mm."""
    row, column = directions(slices[0][0])
    heights: NDArray[np.float64] = _positions(slices) @ np.cross(row, column)
    return heights


def _slice_positions_mm(slices: Slices) -> tuple[float, ...]:
    heights = _heights(slices)
    return tuple(round(float(mm), 4) for mm in heights - heights[0]) if len(slices) > 1 else ()


def _positions(slices: Sequence[Sequence[Frame]]) -> NDArray[np.float64]:
    return np.array([frames[0].position for frames in slices], dtype=np.float64)


def _drop_strays(slices: Sequence[Sequence[Frame]], where: str) -> tuple[Slices, list[Repair]]:
    """Keep the largest block of slices that lie close to each other."""
    if len(slices) < 3:
        return [list(frames) for frames in slices], []
    distances = np.diff(_heights(slices))
    cuts = np.flatnonzero(distances > STRAY_DISTANCES * np.median(distances)) + 1
    blocks = np.split(np.arange(len(slices)), cuts)
    largest = max(blocks, key=len)
    kept = [list(slices[index]) for index in largest]
    strays = len(slices) - len(kept)
    if not strays:
        return kept, []
    require_half(len(kept), len(slices), "slices that lie close together", f"{where}, {slices[0][0].path}")
    far = float(distances[cuts - 1].max())
    return kept, [Repair(f"{plural(strays, 'slice')} {far:.4g} mm from the rest of the stack", "left out")]


def _single_acquisitions(slices: Slices) -> tuple[Slices, list[Repair]]:
    chosen = [choose_acquisition(frames) for frames in slices]
    repeated = [str(index + 1) for index, frames in enumerate(slices) if len(chosen[index]) < len(frames)]
    if not repeated:
        return chosen, []
    where = f"slices {', '.join(repeated)} were" if len(repeated) > 1 else f"slice {repeated[0]} was"
    return chosen, [Repair(f"{where} acquired more than once", "the most complete acquisition counts, else the last")]


def _affine(slices: Slices, where: str) -> tuple[NDArray[np.float64], list[Repair]]:
    """Return the 4x4 matrix from voxels to mm in RAS, and what is not even about the positions.

    Source: DICOM PS3.3, section C.7.6.2.1.1: the pixel in column ``x`` and row ``y`` lies at position + x times the
    spacing of columns along the row + y times the spacing of rows along the column.
    """
    first = slices[0][0]
    row, column = directions(first)
    row_spacing, column_spacing = first.pixel_spacing or (1.0, 1.0)
    step, repairs = _step(slices, where)
    matrix = np.eye(4)
    matrix[:3, :3] = LPS_TO_RAS @ np.stack([row * column_spacing, column * row_spacing, step], axis=1)
    matrix[:3, 3] = LPS_TO_RAS @ np.asarray(first.position)
    return matrix, repairs


def _step(slices: Slices, where: str) -> tuple[NDArray[np.float64], list[Repair]]:
    """Return the mean way from slice to slice in mm (LPS)."""
    first = slices[0][0]
    row, column = directions(first)
    normal = np.cross(row, column)
    if len(slices) == 1:
        return normal * _single_thickness(first), []
    positions = _positions(slices)
    mean = (positions[-1] - positions[0]) / (len(slices) - 1)
    require_slice_distance(float(mean @ normal), f"{where}, {first.path}")
    repairs = _distance_repairs(np.diff(positions @ normal))
    line = positions[0] + np.outer(np.arange(len(slices)) * float(mean @ normal), normal)
    beside = (positions - line) @ np.stack([row, column], axis=1)
    largest = float(np.linalg.norm(beside, axis=1).max())
    if largest <= IN_PLANE_TOLERANCE_MM:
        return normal * float(mean @ normal), repairs
    even = np.outer(np.arange(len(slices)), (positions[-1] - positions[0]) / (len(slices) - 1)) + positions[0]
    off = float(np.linalg.norm((positions - even) @ np.stack([row, column], axis=1), axis=1).max())
    problem = f"slices lie up to {largest:.1f} mm beside the normal through the first"
    if off <= IN_PLANE_TOLERANCE_MM:
        return mean, [*repairs, Repair(problem, "the affine is sheared, as the stack is")]
    return mean, [*repairs, Repair(problem, f"kept; the affine misses their places by up to {off:.1f} mm in-plane")]


def _single_thickness(frame: Frame) -> float:
    thickness = frame.slice_spacing
    return thickness if thickness is not None and thickness > 0 else 1.0


def _distance_repairs(distances: NDArray[np.float64]) -> list[Repair]:
    usual, mean = float(np.median(distances)), float(distances.mean())
    if float(np.abs(distances - usual).max()) <= DISTANCE_TOLERANCE * usual:
        return []
    slices = len(distances) + 1
    wide = int(distances.argmax())
    missing = int(np.maximum(np.round(distances / usual) - 1, 0).sum())
    gap = f"slices {wide + 1} and {wide + 2} of {slices} are {distances[wide]:.1f} mm apart, the others {usual:.1f} mm"
    kept = f"kept at their real positions, which volumes go by; the affine has the mean distance, {mean:.2f} mm"
    return [Repair(f"{plural(missing, 'slice')} missing: {gap}" if missing else f"uneven slices: {gap}", kept)]

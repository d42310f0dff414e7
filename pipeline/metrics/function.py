"""Volumes over the heart beat and what they say of the heart's function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.geometry import slice_axis, voxel_volume_ml
from pipeline.labels import FOREGROUND, FURTHER, Structure

MYOCARDIAL_DENSITY_G_ML = 1.05
"""Mass is volume times the density of myocardium: Kawel-Boehm et al., J Cardiovasc Magn Reson 22:87, 2020."""

SPIKE_SHARE = 0.25
"""A phase is a spike where its LV volume is above both neighbors, or below both, by more than this share of the curve's
range. A heart turns gently at ED and ES: at 15 phases a beat a sine changes by 4 % from an extreme to its neighbor, and
filling at its fastest starts only after the isovolumic relaxation of about 80 ms."""

MIN_PHASES_FOR_SPIKES = 15
"""With fewer phases a beat, neighbors of ED and ES may rightly be far away: nothing is called a spike."""

PLAUSIBLE_HEIGHT_CM = (50.0, 250.0)
"""From a newborn to the tallest; 1.8 is a height in metres."""

PLAUSIBLE_WEIGHT_KG = (2.0, 350.0)
"""From a newborn to what the table of a scanner bears."""

PLAUSIBLE_BMI = (8.0, 100.0)
"""Weight in kg over height in m squared: outside of it, height and weight are swapped or one is in another unit."""

PLAUSIBLE_HEART_RATE_BPM = (20.0, 250.0)
"""Below and above, the header holds something else, such as a heart rate of 0 from a scan without ECG."""


@dataclass(frozen=True)
class CardiacFunction:
    """The clinical numbers of one study; None where a number cannot be known.

    Volumes are sums of slice areas times the distance of the slices (Simpson's rule). Left-ventricular numbers belong
    to ``ed_phase`` and ``es_phase``, right-ventricular ones to the same phases.

    A ventricle that the mask does not have at ED has ``edv_ml`` 0 and no other number; one that it has at ED but not at
    ES has no ESV, and nothing that follows from it. With one phase, nothing that needs ES is known.

    Attributes:
        lv_ml: LV volume of each phase.
        rv_ml: RV volume of each phase.
        myo_ml: volume of the LV's myocardium of each phase.
        ed_phase: phase of the largest LV volume, from 0.
        es_phase: phase of the smallest LV volume; ``ed_phase`` where there is no other.
        phase_times_ms: time of each phase after the R wave.
        lv_edv_ml: and so on: end-diastolic, end-systolic and stroke volume, ejection fraction.
        lv_mass_g: myocardial volume at ED times 1.05 g/mL.
        heart_rate_bpm: beats a minute; None where unknown or implausible.
        lv_cardiac_output_l_min: stroke volume times heart rate.
        height_cm: None where unknown or implausible.
        weight_kg: None where unknown or implausible.
        body_surface_area_m2: by Mosteller.
        lv_edv_index_ml_m2: and so on: by body surface area.
    """

    lv_ml: tuple[float, ...]
    rv_ml: tuple[float, ...]
    myo_ml: tuple[float, ...]
    ed_phase: int
    es_phase: int
    phase_times_ms: tuple[float, ...] | None
    lv_edv_ml: float
    lv_esv_ml: float | None
    lv_sv_ml: float | None
    lv_ef_percent: float | None
    lv_mass_g: float
    rv_edv_ml: float
    rv_esv_ml: float | None
    rv_sv_ml: float | None
    rv_ef_percent: float | None
    heart_rate_bpm: float | None = None
    lv_cardiac_output_l_min: float | None = None
    rv_cardiac_output_l_min: float | None = None
    height_cm: float | None = None
    weight_kg: float | None = None
    body_surface_area_m2: float | None = None
    lv_edv_index_ml_m2: float | None = None
    lv_esv_index_ml_m2: float | None = None
    lv_sv_index_ml_m2: float | None = None
    lv_mass_index_g_m2: float | None = None
    rv_edv_index_ml_m2: float | None = None
    rv_esv_index_ml_m2: float | None = None
    rv_sv_index_ml_m2: float | None = None
    lv_cardiac_index_l_min_m2: float | None = None


class VentricularVolumes(NamedTuple):
    """EDV, ESV and SV in mL and the EF in percent of one ventricle; None where unknown."""

    edv_ml: float
    esv_ml: float | None
    sv_ml: float | None
    ef_percent: float | None


def cardiac_function(
    mask: NDArray[Any],
    affine: ArrayLike,
    *,
    slice_positions_mm: Sequence[float] | None = None,
    phase_times_ms: Sequence[float] | None = None,
    heart_rate_bpm: float | None = None,
    height_cm: float | None = None,
    weight_kg: float | None = None,
    ed_phase: int | None = None,
    es_phase: int | None = None,
) -> CardiacFunction:
    """Compute the clinical numbers of a segmented cine.

    ED and ES are chosen by ``choose_phases`` where they are not given. A heart rate, height or weight that nobody can
    have counts as unknown: it comes from a header.

    Args:
        mask: integer array (X, Y, Z, phases) of the project's values; the slices lie along ``geometry.slice_axis``.
        affine: 4x4, from voxel indices to mm.
        slice_positions_mm: place of each slice along the normal, rising or falling, where the slices are not evenly
            spaced; see ``slice_thicknesses_mm``. If None, those of the affine.
        phase_times_ms: time of each phase after the R wave.
        heart_rate_bpm: beats a minute.
        height_cm: of the patient.
        weight_kg: of the patient.
        ed_phase: phase to take as end-diastole, from 0.
        es_phase: phase to take as end-systole, from 0.

    Returns:
        The numbers; see ``CardiacFunction`` for what is missing when.

    Raises:
        ValueError: the mask is not 4D, not of integers or holds other values; positions or times do not fit its slices
            or phases; a phase given is not one of its phases.

    Source:
        Schulz-Menger et al., Standardized image interpretation and post-processing in cardiovascular magnetic
        resonance, J Cardiovasc Magn Reson 22:19, 2020: sum of slice areas times slice distance, ED and ES by the
        largest and smallest LV.
    """
    volumes = volumes_ml(mask, affine, slice_positions_mm)
    times = _phase_times(phase_times_ms, mask.shape[3])
    ed, es = choose_phases(volumes[Structure.LV], ed_phase, es_phase)
    lv = ventricular_volumes(volumes[Structure.LV], ed, es)
    rv = ventricular_volumes(volumes[Structure.RV], ed, es)
    function = CardiacFunction(
        lv_ml=_as_tuple(volumes[Structure.LV]),
        rv_ml=_as_tuple(volumes[Structure.RV]),
        myo_ml=_as_tuple(volumes[Structure.MYO]),
        ed_phase=ed,
        es_phase=es,
        phase_times_ms=times,
        lv_edv_ml=lv.edv_ml,
        lv_esv_ml=lv.esv_ml,
        lv_sv_ml=lv.sv_ml,
        lv_ef_percent=lv.ef_percent,
        lv_mass_g=float(volumes[Structure.MYO][ed]) * MYOCARDIAL_DENSITY_G_ML,
        rv_edv_ml=rv.edv_ml,
        rv_esv_ml=rv.esv_ml,
        rv_sv_ml=rv.sv_ml,
        rv_ef_percent=rv.ef_percent,
    )
    return _with_flow_and_indices(function, heart_rate_bpm, height_cm, weight_kg)


def volumes_ml(
    mask: NDArray[Any], affine: ArrayLike, slice_positions_mm: Sequence[float] | None = None
) -> dict[int, NDArray[np.float64]]:
    """Return the volume of each structure, and of each further label that is there, in each phase, by Simpson's rule.

    Counts a phase at a time, inside the box around the structures: a cine of 16 x 512 x 512 voxels takes no large
    temporary array.

    Args:
        mask: integer array (X, Y, Z, phases) of the project's values.
        affine: 4x4, from voxel indices to mm.
        slice_positions_mm: see ``cardiac_function``.

    Returns:
        For RV, MYO and LV, and the further labels of the mask, an array (phases,) in mL.

    Raises:
        ValueError: as ``cardiac_function``.
    """
    _check_mask(mask)
    axis = slice_axis(affine)
    slice_ml = voxel_volume_ml(affine) * _relative_thicknesses(slice_positions_mm, affine, mask.shape[axis])
    counts = _count_voxels(mask, axis)
    further = [label for label in range(FURTHER.start, counts.shape[2]) if counts[:, :, label].any()]
    return {label: counts[:, :, label] @ slice_ml for label in (*FOREGROUND, *further)}


def slice_thicknesses_mm(positions_mm: Sequence[float]) -> NDArray[np.float64]:
    """Return the thickness that each slice stands for: half the distance to each of its neighbors.

    The first and the last slice have one neighbor; they reach as far outward as they reach inward, so that evenly
    spaced slices all come out as thick as their distance, and the direction of the stack makes no difference.

    Args:
        positions_mm: place of each slice along the normal, at least two, rising or falling.

    Returns:
        Array (slices,) in mm, > 0.

    Raises:
        ValueError: fewer than two positions, one that is not a number, two in one place, or out of order.
    """
    positions = np.asarray(positions_mm, dtype=np.float64)
    gaps = np.diff(positions)
    if positions.ndim != 1 or positions.size < 2 or not np.isfinite(positions).all():
        raise ValueError(f"slice_positions_mm must be at least two numbers, got {positions.tolist()}.")
    if not ((gaps > 0).all() or (gaps < 0).all()):
        raise ValueError(f"slice_positions_mm must rise or fall from slice to slice, got {positions.tolist()}.")
    distances = np.abs(gaps)
    return (np.append(distances[0], distances) + np.append(distances, distances[-1])) / 2.0


def choose_phases(lv_ml: ArrayLike, ed_phase: int | None = None, es_phase: int | None = None) -> tuple[int, int]:
    """Choose end-diastole and end-systole: the phases of the largest and of the smallest LV volume.

    Left aside, as long as others remain: phases without any LV, and spikes: single phases that stand out from both
    neighbors (the last phase is a neighbor of the first) to the same side by more than ``SPIKE_SHARE`` of the range of
    the curve, as a running median of three sees it. So neither a phase in which the segmentation failed nor a wiggle
    sets the ejection fraction; two failures in a row do, and are flagged. Of equal volumes the first counts.

    Args:
        lv_ml: LV volume of each phase, at least one.
        ed_phase: taken as it is, if given.
        es_phase: taken as it is, if given.

    Returns:
        ED and ES, from 0; equal where there is one phase, or no LV.

    Raises:
        ValueError: a phase given is not one of the phases.
    """
    volumes = np.asarray(lv_ml, dtype=np.float64)
    _check_phase("ed_phase", ed_phase, volumes.size)
    _check_phase("es_phase", es_phase, volumes.size)
    candidates = np.flatnonzero((volumes > 0) & ~_spikes(volumes))
    if not candidates.size:
        candidates = np.arange(volumes.size)
    largest = int(candidates[np.argmax(volumes[candidates])])
    smallest = int(candidates[np.argmin(volumes[candidates])])
    return (largest if ed_phase is None else int(ed_phase), smallest if es_phase is None else int(es_phase))


def ventricular_volumes(ml: ArrayLike, ed_phase: int, es_phase: int) -> VentricularVolumes:
    """Return the numbers of one ventricle from its volume in each phase; see ``CardiacFunction`` for the rules."""
    volumes = np.asarray(ml, dtype=np.float64)
    edv, esv = float(volumes[ed_phase]), float(volumes[es_phase])
    if ed_phase == es_phase or edv <= 0 or esv <= 0:
        return VentricularVolumes(edv, None, None, None)
    return VentricularVolumes(edv, esv, edv - esv, 100.0 * (edv - esv) / edv)


def body_surface_area_m2(height_cm: float | None, weight_kg: float | None) -> float | None:
    """Return the body surface area, None where height or weight is unknown or implausible.

    Source:
        Mosteller, Simplified calculation of body-surface area, N Engl J Med 317:1098, 1987: the square root of height
        in cm times weight in kg over 3600.
    """
    height, weight = _plausible_body(height_cm, weight_kg)
    return None if height is None or weight is None else math.sqrt(height * weight / 3600.0)


def _with_flow_and_indices(
    function: CardiacFunction, heart_rate_bpm: float | None, height_cm: float | None, weight_kg: float | None
) -> CardiacFunction:
    height, weight = _plausible_body(height_cm, weight_kg)
    area = body_surface_area_m2(height, weight)
    heart_rate = _plausible(heart_rate_bpm, PLAUSIBLE_HEART_RATE_BPM)
    output = _cardiac_output(function.lv_sv_ml, heart_rate)
    return replace(
        function,
        heart_rate_bpm=heart_rate,
        lv_cardiac_output_l_min=output,
        rv_cardiac_output_l_min=_cardiac_output(function.rv_sv_ml, heart_rate),
        height_cm=height,
        weight_kg=weight,
        body_surface_area_m2=area,
        lv_edv_index_ml_m2=_index(function.lv_edv_ml, area),
        lv_esv_index_ml_m2=_index(function.lv_esv_ml, area),
        lv_sv_index_ml_m2=_index(function.lv_sv_ml, area),
        lv_mass_index_g_m2=_index(function.lv_mass_g, area),
        rv_edv_index_ml_m2=_index(function.rv_edv_ml, area),
        rv_esv_index_ml_m2=_index(function.rv_esv_ml, area),
        rv_sv_index_ml_m2=_index(function.rv_sv_ml, area),
        lv_cardiac_index_l_min_m2=_index(output, area),
    )


def _check_mask(mask: NDArray[Any]) -> None:
    if mask.ndim != 4 or not all(mask.shape):
        raise ValueError(f"mask must have shape (X, Y, Z, phases), none of them 0, got {tuple(mask.shape)}.")
    if not np.issubdtype(mask.dtype, np.integer):
        raise ValueError(f"mask must be an array of integers, got {mask.dtype}; argmax the channels first.")


def _check_phase(name: str, phase: int | None, num_phases: int) -> None:
    if phase is not None and not (0 <= phase < num_phases and phase == int(phase)):
        raise ValueError(f"{name} must be a phase from 0 to {num_phases - 1}, got {phase}.")


def _phase_times(times_ms: Sequence[float] | None, num_phases: int) -> tuple[float, ...] | None:
    if times_ms is None:
        return None
    if len(times_ms) != num_phases:
        raise ValueError(f"phase_times_ms must have one time a phase, got {len(times_ms)} for {num_phases} phases.")
    return tuple(float(time) for time in times_ms)


def _relative_thicknesses(
    positions_mm: Sequence[float] | None, affine: ArrayLike, num_slices: int
) -> NDArray[np.float64]:
    """Return the thickness of each slice as a multiple of the affine's slice distance."""
    if positions_mm is None:
        return np.ones(num_slices)
    if len(positions_mm) != num_slices:
        raise ValueError(f"slice_positions_mm must have a position a slice, got {len(positions_mm)} for {num_slices}.")
    if num_slices == 1:  # nothing to take a distance from
        return np.ones(1)
    return slice_thicknesses_mm(positions_mm) / slice_distance_mm(affine)


def slice_distance_mm(affine: ArrayLike) -> float:
    """Return the distance of the affine's slices along their normal in mm, less than the step on a sheared grid."""
    matrix = np.asarray(affine, dtype=np.float64)[:3, :3]
    across, along = np.delete(matrix, slice_axis(affine), axis=1).T
    return float(abs(np.linalg.det(matrix)) / np.linalg.norm(np.cross(across, along)))


def _count_voxels(mask: NDArray[Any], axis: int) -> NDArray[np.int64]:
    """Return the number of voxels of each value, (phases, slices, 4), or more where there are further labels."""
    num_slices, num_phases = mask.shape[axis], mask.shape[3]
    box = foreground_box(mask)
    if box is None:
        return np.zeros((num_phases, num_slices, len(Structure)), dtype=np.int64)
    inside = np.moveaxis(mask[box], axis, 2)
    size = max(len(Structure), int(inside.max()) + 1)
    counts = np.zeros((num_phases, num_slices, size), dtype=np.int64)
    slices = np.arange(inside.shape[2], dtype=np.intp) * size
    for phase in range(inside.shape[3]):
        # in the order of the memory: which slice a voxel is of is in its value
        number = np.bincount((inside[..., phase] + slices).ravel("K"), minlength=slices.size * size)
        counts[box[3].start + phase, box[axis]] = number.reshape(-1, size)
    return counts


def foreground_box(mask: NDArray[Any]) -> tuple[slice, ...] | None:
    """Return the smallest box that holds all that is not 0, a slice an axis; None where there is nothing.

    Each axis is searched inside the box found so far, in the order in which the array lies in memory.

    Raises:
        ValueError: a value is not one of the project's.
    """
    if not mask.size:
        return None
    box = [slice(0, length) for length in mask.shape]
    for axis in sorted(range(mask.ndim), key=lambda axis: -abs(mask.strides[axis])):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        inside = mask[tuple(box)]
        highest = inside.max(axis=others)
        if highest.max() >= FURTHER.stop or (mask.dtype.kind == "i" and inside.min() < 0):
            found = f"{int(inside.min())} to {int(highest.max())}"
            raise ValueError(f"mask must hold the project's values 0 to {FURTHER[-1]}, got {found}; map it first.")
        filled = np.flatnonzero(highest)
        if not filled.size:
            return None
        box[axis] = slice(box[axis].start + int(filled[0]), box[axis].start + int(filled[-1]) + 1)
    return tuple(box)


def _spikes(volumes: NDArray[np.float64]) -> NDArray[np.bool_]:
    if volumes.size < MIN_PHASES_FOR_SPIKES:
        return np.zeros(volumes.size, dtype=bool)
    before, after = np.roll(volumes, 1), np.roll(volumes, -1)
    smooth = np.median([before, volumes, after], axis=0)
    limit = SPIKE_SHARE * float(np.ptp(smooth))
    above = np.minimum(volumes - before, volumes - after) > limit
    below = np.minimum(before - volumes, after - volumes) > limit
    spikes: NDArray[np.bool_] = above | below
    return spikes


def _plausible(value: float | None, limits: tuple[float, float]) -> float | None:
    # NaN lies within no limits
    return float(value) if value is not None and limits[0] <= value <= limits[1] else None


def _plausible_body(height_cm: float | None, weight_kg: float | None) -> tuple[float | None, float | None]:
    height, weight = _plausible(height_cm, PLAUSIBLE_HEIGHT_CM), _plausible(weight_kg, PLAUSIBLE_WEIGHT_KG)
    if height is not None and weight is not None and _plausible(weight / (height / 100) ** 2, PLAUSIBLE_BMI) is None:
        return None, None
    return height, weight


def _cardiac_output(sv_ml: float | None, heart_rate_bpm: float | None) -> float | None:
    return None if sv_ml is None or heart_rate_bpm is None else sv_ml * heart_rate_bpm / 1000.0  # 1 L = 1000 mL


def _index(value: float | None, area_m2: float | None) -> float | None:
    return None if value is None or area_m2 is None else value / area_m2


def _as_tuple(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)

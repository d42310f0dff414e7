"""Signs that a segmentation should be looked at before its numbers are used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from pipeline.geometry import SPACING_TOLERANCE_MM, slice_axis, spacing_mm, voxel_volume_ml
from pipeline.labels import FURTHER, Structure, label_key
from pipeline.metrics.function import CardiacFunction, foreground_box, slice_distance_mm

# "ACDC" means the experts' masks of its 100 training patients: healthy, infarcted, dilated, hypertrophic, abnormal RV.

MIN_LV_LENGTH_MM = 45.0
"""At ED the slices of the LV together are 50 to 110 mm thick in ACDC: a shorter one is cut off, or half found."""

MIN_STACK_LENGTH_MM = 45.0
"""A stack that short cannot hold the LV; ACDC's are 50 to 110 mm."""

MAX_PIECES_SHARE = 0.02
"""Share of the LV outside its largest piece. One of ACDC's masks has any, 0.9 %; a slice missed in the middle cuts
off a tenth or more."""

MAX_OPEN_SHARE = 0.1
"""Share of the LV's border in the middle slices without myocardium. None of ACDC's masks has any."""

MIN_PHASES_FOR_JUMPS = 15
"""With fewer phases a beat, a healthy ventricle may fill by ``MAX_JUMP_SHARE`` from one phase to the next."""

MAX_JUMP_SHARE = 0.4
"""Change of the LV's volume from one phase to the next, over its range, beyond the volume of its largest slice at ED.
The early wave fills a ventricle at up to about 6 stroke volumes a second: 0.4 between two of 15 phases of a beat of
1 s, 0.2 of 30. And the base moves through the stack: the one slice that comes or goes with it is a third of the stroke
volume of a dilated heart."""

MIN_RANGE_SHARE = 0.05
"""A curve that moves by less of its volume is flat; its steps are noise, and the ejection fraction is flagged."""

EF_LIMITS_PERCENT = (5.0, 90.0)
"""Outside, no heart keeps its owner alive, or the cavity was lost at ES. ACDC: LV 10 to 82 %, RV 7 to 86 % but for two
patients below 5 %."""

MAX_STROKE_VOLUME_SHARE = 2 / 3
"""Difference of the stroke volumes over the larger one. The circulation is in series, but valves leak and the RV's base
is drawn by convention: half of ACDC's patients differ by more than 21 %, 6 of 100 by more than 60 %, 3 by more than
two thirds."""

TRAINING_SPACING_MM = (0.5, 2.5)
"""ACDC has pixels of 0.70 to 1.92 mm, and the training scales its images by 0.75 to 1.33."""

TRAINING_SLICE_DISTANCE_MM = (4.0, 13.0)
"""ACDC's slices are 5 to 10 mm apart."""

TRAINING_MATRIX = (100, 700)
"""ACDC's images have 154 to 512 pixels a side."""

MAX_CLIPPED_SHARE = 0.02
"""Share of the voxels that have the highest value. In ACDC 1.2 % at most, 0.01 % in the median; where a
viewer's display window was burnt in, bright blood is several percent."""

_NAMES = {Structure.RV: "right ventricle", Structure.MYO: "myocardium", Structure.LV: "left ventricle"}

# voxels that share a corner are connected, as in KeepLargestComponent
_NEIGHBORS = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class QualityFlag:
    """One reason to look at a study.

    Attributes:
        code: short name, stable over versions, such as ``"lv_in_pieces"``.
        message: a sentence for the reader of the report, with the figures.
        phase: phase that it was seen in, from 0; None where it belongs to the study.
    """

    code: str
    message: str
    phase: int | None = None


def quality_flags(
    mask: NDArray[Any], affine: ArrayLike, function: CardiacFunction, *, image: NDArray[Any] | None = None
) -> tuple[QualityFlag, ...]:
    """Look for signs that a segmented cine should not be believed unseen.

    The thresholds are this module's constants, each with its reason. A flag says "look", not "wrong": 3 of the 100
    healthy and diseased hearts that ACDC's experts drew raise one, for stroke volumes that differ by far.

    Args:
        mask: integer array (X, Y, Z, phases) of the project's values; the slices lie along ``geometry.slice_axis``.
        affine: 4x4, from voxel indices to mm.
        function: what ``cardiac_function`` says of the same mask.
        image: the scan, same shape as the mask; its intensities are looked at if given.

    Returns:
        The flags, what the segmentation lacks first, what is strange about the input last; empty where nothing is.

    Raises:
        ValueError: the mask is not 4D, or function or image do not fit it.
    """
    if mask.ndim != 4 or mask.shape[3] != len(function.lv_ml):
        expected = f"(X, Y, Z, phases) with the function's {len(function.lv_ml)} phases"
        raise ValueError(f"mask must have shape {expected}, got {mask.shape}.")
    if image is not None and image.shape != mask.shape:
        raise ValueError(f"image must have the mask's shape, {mask.shape}, got {image.shape}.")
    stack = _Stack.of(mask, affine)
    flags = [
        *_absent(function),
        *_short(stack, function),
        *_in_pieces(stack, function),
        *_open_myocardium(stack, function),
        *_jumps(stack, function),
        *_implausible_ef(function),
        *_unequal_stroke_volumes(function),
        *_further_labels(stack),
        *_at_edge(stack),
        *_unlike_training(stack),
    ]
    if image is not None:
        flags += _strange_intensities(np.moveaxis(image, slice_axis(affine), 2), function)
    return tuple(flags)


@dataclass(frozen=True)
class _Stack:
    """The mask with its slices along axis 2, cut to the box around its structures, which may be empty."""

    inside: NDArray[Any]
    box: tuple[slice, ...] | None
    shape: tuple[int, ...]
    spacing_mm: tuple[float, float]
    slice_distance_mm: float
    voxel_ml: float

    @classmethod
    def of(cls, mask: NDArray[Any], affine: ArrayLike) -> _Stack:
        axis = slice_axis(affine)
        slices_last = np.moveaxis(mask, axis, 2)
        box = foreground_box(slices_last)
        in_plane = np.delete(spacing_mm(affine), axis)
        return cls(
            slices_last[box or np.s_[:0, :0, :0]],
            box,
            slices_last.shape,
            (float(in_plane[0]), float(in_plane[1])),
            slice_distance_mm(affine),
            voxel_volume_ml(affine),
        )

    def structure(self, phase: int, structure: Structure) -> NDArray[np.bool_]:
        """Return the voxels of a structure in a phase; none where the phase lies outside the box."""
        found: NDArray[np.bool_] = self._labels(phase) == structure
        return found

    def wall(self, phase: int) -> NDArray[np.bool_]:
        """Return the myocardium in a phase with what further labels take of it, such as scar or papillary muscle."""
        labels = self._labels(phase)
        found: NDArray[np.bool_] = (labels == Structure.MYO) | (labels >= FURTHER.start)
        return found

    def _labels(self, phase: int) -> NDArray[Any]:
        start, stop = (self.box[3].start, self.box[3].stop) if self.box else (0, 0)
        if not start <= phase < stop:
            return np.zeros(self.inside.shape[:3], dtype=np.uint8)
        return self.inside[..., phase - start]


def _key_phases(function: CardiacFunction) -> list[tuple[str, int]]:
    """Return ED and ES; ED alone where there is no other."""
    phases = [("ED", function.ed_phase), ("ES", function.es_phase)]
    return phases[:1] if function.ed_phase == function.es_phase else phases


def _absent(function: CardiacFunction) -> Iterator[QualityFlag]:
    volumes = {Structure.LV: function.lv_ml, Structure.MYO: function.myo_ml, Structure.RV: function.rv_ml}
    for structure, of_phases in volumes.items():
        missing = [phase for phase, volume in enumerate(of_phases) if volume == 0]
        if missing:
            where = _phases(missing, len(of_phases), "any phase")
            phase = missing[0] if len(missing) < len(of_phases) else None
            yield QualityFlag(f"{structure.key}_absent", f"No {_NAMES[structure]} {where}.", phase)


def _short(stack: _Stack, function: CardiacFunction) -> Iterator[QualityFlag]:
    num_slices, distance = stack.shape[2], stack.slice_distance_mm
    if num_slices * distance < MIN_STACK_LENGTH_MM:
        message = f"{num_slices} slices of {distance:.1f} mm: the stack is {num_slices * distance:.0f} mm long, a heart"
        yield QualityFlag("stack_short", f"{message} needs {MIN_STACK_LENGTH_MM:.0f} mm at least.")
    slices = int(stack.structure(function.ed_phase, Structure.LV).any(axis=(0, 1)).sum())
    if 0 < slices * distance < MIN_LV_LENGTH_MM:
        message = f"Left ventricle on {slices} slices of {distance:.1f} mm at ED: {slices * distance:.0f} mm long, less"
        yield QualityFlag("lv_short", f"{message} than {MIN_LV_LENGTH_MM:.0f} mm.", function.ed_phase)


def _in_pieces(stack: _Stack, function: CardiacFunction) -> Iterator[QualityFlag]:
    shares = {}
    for phase in range(len(function.lv_ml)):
        lv = stack.structure(phase, Structure.LV)
        components, number = ndimage.label(lv[foreground_box(lv.view(np.uint8)) or ...], _NEIGHBORS)
        if number > 1:
            sizes = np.bincount(components.ravel())[1:]
            shares[phase] = 1.0 - float(sizes.max() / sizes.sum())
    broken = [phase for phase, share in shares.items() if share > MAX_PIECES_SHARE]
    if broken:
        worst = max(broken, key=lambda phase: shares[phase])
        where = _phases(broken, len(function.lv_ml), "all phases")
        message = f"Left ventricle in pieces {where}: up to {shares[worst]:.0%} of it lies apart."
        yield QualityFlag("lv_in_pieces", message, worst)


def _further_labels(stack: _Stack) -> Iterator[QualityFlag]:
    further = [label for label in np.unique(stack.inside) if label in FURTHER]
    if further:
        names = ", ".join(map(label_key, further))
        yield QualityFlag("further_labels", f"Volumes and mass leave out what the mask calls {names}.")


def _open_myocardium(stack: _Stack, function: CardiacFunction) -> Iterator[QualityFlag]:
    for name, phase in _key_phases(function):
        share = open_share(stack.structure(phase, Structure.LV), stack.wall(phase))
        if share > MAX_OPEN_SHARE:
            message = f"Myocardium open around the left ventricle at {name}: {share:.0%} of the border in the middle"
            yield QualityFlag("myo_open", f"{message} slices touches no myocardium.", phase)


def open_share(lv: NDArray[np.bool_], myo: NDArray[np.bool_]) -> float:
    """Return how much of the LV's border in its middle slices touches no myocardium.

    The middle slices are the half of the LV's slices around the middle one: at the base the outflow tract is rightly
    open, at the apex a slice may hold a few voxels. The border runs along the faces between a voxel of the LV and a
    neighbor in its slice that is none; where the image ends it counts as open.

    Args:
        lv: boolean array (X, Y, Z), slices along axis 2.
        myo: of the same shape.

    Returns:
        0 (closed) to 1; 0 where there is no LV.
    """
    box = foreground_box(lv.view(np.uint8))
    if box is None:
        return 0.0
    slices = np.flatnonzero(lv.any(axis=(0, 1)))
    quarter = slices.size // 4
    middle = slices[quarter : slices.size - quarter]
    rows, columns = (slice(max(side.start - 1, 0), side.stop + 1) for side in box[:2])  # and a voxel around
    cavity = np.pad(lv[rows, columns][:, :, middle], ((1, 1), (1, 1), (0, 0)))
    wall = np.pad(myo[rows, columns][:, :, middle], ((1, 1), (1, 1), (0, 0)))
    border = closed = 0
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        # the padding keeps what np.roll wraps around out of the LV
        faces = cavity & ~np.roll(cavity, step, axis)
        border += int(faces.sum())
        closed += int((faces & np.roll(wall, step, axis)).sum())
    return (border - closed) / border


def _jumps(stack: _Stack, function: CardiacFunction) -> Iterator[QualityFlag]:
    volumes = np.array(function.lv_ml)
    spread = float(np.ptp(volumes))
    if volumes.size < MIN_PHASES_FOR_JUMPS or spread < MIN_RANGE_SHARE * volumes.max():
        return
    slices = stack.structure(function.ed_phase, Structure.LV).sum(axis=(0, 1)) * stack.voxel_ml
    steps = np.abs(volumes - np.roll(volumes, 1))  # the last phase comes before the first
    phase = int(np.argmax(steps))
    if steps[phase] > MAX_JUMP_SHARE * spread + float(slices.max(initial=0.0)):
        before = (phase - 1) % volumes.size
        message = f"Left-ventricular volume jumps from {volumes[before]:.0f} to {volumes[phase]:.0f} mL between phases"
        share = f"{steps[phase] / spread:.0%} of its range over the beat"
        yield QualityFlag("lv_volume_jumps", f"{message} {before} and {phase}: {share}.", phase)


def _implausible_ef(function: CardiacFunction) -> Iterator[QualityFlag]:
    low, high = EF_LIMITS_PERCENT
    for structure, ef in ((Structure.LV, function.lv_ef_percent), (Structure.RV, function.rv_ef_percent)):
        if ef is not None and not low <= ef <= high:
            message = f"Ejection fraction of the {_NAMES[structure]} is {ef:.0f} %, outside {low:.0f} to {high:.0f} %."
            yield QualityFlag(f"{structure.key}_ef_implausible", message)


def _unequal_stroke_volumes(function: CardiacFunction) -> Iterator[QualityFlag]:
    left, right = function.lv_sv_ml, function.rv_sv_ml
    if left is None or right is None:
        return
    larger = max(abs(left), abs(right))
    if abs(left - right) > MAX_STROKE_VOLUME_SHARE * larger:
        message = f"Stroke volumes differ: left {left:.0f} mL, right {right:.0f} mL. Without a leaking valve or a shunt"
        yield QualityFlag("stroke_volumes_differ", f"{message} they are equal.")


def _at_edge(stack: _Stack) -> Iterator[QualityFlag]:
    if stack.box is None:
        return
    sides = zip(stack.box[:2], stack.shape[:2], strict=True)
    if any(side.start == 0 or side.stop == length for side, length in sides):
        yield QualityFlag("mask_at_edge", "The segmentation reaches the edge of the image: the heart may be cut off.")


def _unlike_training(stack: _Stack) -> Iterator[QualityFlag]:
    (low, high), distance = TRAINING_SPACING_MM, stack.slice_distance_mm
    if not all(_within(spacing, low, high) for spacing in stack.spacing_mm):
        sizes = " x ".join(f"{spacing:.2f}" for spacing in stack.spacing_mm)
        yield QualityFlag("spacing_unlike_training", f"Pixels of {sizes} mm; the model knows {low} to {high} mm.")
    low, high = TRAINING_SLICE_DISTANCE_MM
    if not _within(distance, low, high):
        message = f"Slices {distance:.1f} mm apart; the model knows {low:.0f} to {high:.0f} mm."
        yield QualityFlag("slice_distance_unlike_training", message)
    if not all(TRAINING_MATRIX[0] <= length <= TRAINING_MATRIX[1] for length in stack.shape[:2]):
        message = f"Image of {stack.shape[0]} x {stack.shape[1]} pixels; the model knows {TRAINING_MATRIX[0]} to"
        yield QualityFlag("matrix_unlike_training", f"{message} {TRAINING_MATRIX[1]} a side.")


def _within(length_mm: float, low: float, high: float) -> bool:
    return low - SPACING_TOLERANCE_MM <= length_mm <= high + SPACING_TOLERANCE_MM


def _strange_intensities(image: NDArray[Any], function: CardiacFunction) -> Iterator[QualityFlag]:
    if not np.isfinite(image).all():
        yield QualityFlag("image_not_finite", "The image holds values that are not numbers.")
        return
    constant = np.argwhere(image.max(axis=(0, 1)) == image.min(axis=(0, 1)))
    if constant.size:
        where, phase = constant[0]
        message = f"{len(constant)} images of the cine hold one gray value only, first slice {where} of phase {phase}."
        yield QualityFlag("image_constant", message, int(phase))
    for name, phase in _key_phases(function):
        share = clipped_share(image[..., phase])
        if share > MAX_CLIPPED_SHARE:
            message = f"Bright parts of the image are cut off at {name}: {share:.1%} of its voxels have the highest"
            yield QualityFlag("image_clipped", f"{message} value.", phase)
            return


def clipped_share(image: NDArray[Any]) -> float:
    """Return the share of an image's voxels that have its highest value: of the voxels above its lowest, 0 to 1.

    The background outside the body does not count, so that the share does not depend on the field of view. 0 for a
    constant image.
    """
    lowest, highest = image.min(), image.max()
    above = int(np.count_nonzero(image > lowest))
    return int(np.count_nonzero(image == highest)) / above if above else 0.0


def _phases(phases: list[int], total: int, all_of_them: str) -> str:
    if len(phases) == total:
        return f"in {all_of_them}" if total > 1 else "in the only phase"
    if len(phases) == 1:
        return f"in phase {phases[0]}"
    return f"in {len(phases)} of {total} phases, first in phase {phases[0]}"

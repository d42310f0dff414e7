"""What can be wrong with one case: its image, its label, and the two together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.problem import Item, Problem, Severity
from pipeline.data.volume import Volume, VolumeError, read_volume
from pipeline.geometry import same_grid, slice_axis, spacing_mm, voxel_volume_ml
from pipeline.labels import FOREGROUND, FURTHER, LabelMap, Structure, label_key, resolve_label_map

IN_PLANE_RANGE_MM = (0.5, 3.0)
"""In-plane spacing of cine MR lies within; else the unit or the file is probably wrong."""

SLICE_RANGE_MM = (2.0, 20.0)
"""Distance of short-axis slices lies within."""

_VALUES_SHOWN = 10


@dataclass
class CaseFindings:
    """What the check of one case found.

    Attributes:
        problems: all of its problems.
        row: its line of the table; numbers that could not be found out are left out.
        image_digest: SHA-256 of size and intensities, equal for copies of one image; None for an unreadable image.
    """

    item: Item
    problems: list[Problem] = field(default_factory=list)
    row: dict[str, Any] = field(default_factory=dict)
    image_digest: str | None = None

    def add(self, key: str, severity: Severity, message: str, way_out: str) -> None:
        """Add a problem with the case's ``"image"`` or ``"label"``."""
        self.problems.append(Problem(self.item["case_id"], self.item[key], severity, message, way_out))


def check_case(item: Item, label_map: str | Mapping[int | str, int]) -> list[Problem]:
    """Read one case and return all that is wrong with it.

    Args:
        item: case of a datalist.
        label_map: name in ``labels.LABEL_MAPS``, or mapping of the data set's label values to the project's.

    Returns:
        Problems with severity ``"error"`` where training on the case would fail or learn nonsense, ``"warning"`` else;
        empty where all is well.

    Raises:
        InputError: the label map is unknown.
    """
    return inspect_case(item, resolve_label_map(label_map)).problems


def inspect_case(item: Item, label_map: LabelMap) -> CaseFindings:
    """Read one case; return its problems and its line of the table. Never raises for a broken case."""
    findings = CaseFindings(item)
    findings.row |= {key: item.get(key, "") for key in ("case_id", "patient_id", "phase", "group")}
    try:
        _inspect(findings, label_map)
    except Exception as error:  # A cohort goes on past any bad case; what its file breaks cannot be foreseen.
        findings.add("image", "error", f"the case cannot be read: {error!r}", "Copy or export its files again.")
    return findings


def _inspect(findings: CaseFindings, label_map: LabelMap) -> None:
    image = _read(findings, "image")
    if image is not None:
        _inspect_grid(findings, image)
        _inspect_intensities(findings, image)
    label = _read(findings, "label") if "label" in findings.item else None
    if label is not None and _values_fit(findings, label, label_map):
        _inspect_structures(findings, label, label_map)
    if image is not None and label is not None:
        _inspect_pair(findings, image, label)


def _read(findings: CaseFindings, key: str) -> Volume | None:
    try:
        return read_volume(findings.item[key], findings.item.get("frame"))
    except VolumeError as error:
        findings.add(key, "error", error.message, error.way_out)
        return None


def _inspect_grid(findings: CaseFindings, image: Volume) -> None:
    names = "xyz"[: image.array.ndim]
    findings.row |= {f"size_{name}": size for name, size in zip(names, image.array.shape, strict=True)}
    if image.affine is None:
        return
    through = slice_axis(image.affine) if image.array.ndim == 3 else None
    for axis, name in enumerate(names):
        step = float(spacing_mm(image.affine)[axis])
        findings.row[f"spacing_{name}_mm"] = step
        kind, (low, high) = ("slice", SLICE_RANGE_MM) if axis == through else ("in-plane", IN_PLANE_RANGE_MM)
        if not low <= step <= high:
            message = f"odd spacing: {step:.3g} mm along axis {name}, {kind} spacing is {low:g} to {high:g} mm"
            findings.add("image", "warning", message, "Check the unit (mm) and the order of the axes.")


def _inspect_intensities(findings: CaseFindings, image: Volume) -> None:
    with np.errstate(over="ignore"):  # Training computes in float32 too: what overflows there is infinite here.
        values = np.ascontiguousarray(image.array, dtype=np.float32)
    findings.image_digest = hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()
    finite = np.isfinite(values)
    if not finite.all():
        nans, total = int(np.isnan(values).sum()), values.size
        message = f"{nans} NaN and {total - int(finite.sum()) - nans} infinite of {total} voxels"
        findings.add("image", "error", message, "Export the image again; intensities must be finite numbers.")
        values = values[finite]
    if values.size == 0:
        return
    low, p1, median, p99, high = np.percentile(values, [0, 1, 50, 99, 100])
    findings.row |= {"min": float(low), "p1": float(p1), "median": float(median), "p99": float(p99), "max": float(high)}
    if low == high:
        findings.add("image", "error", f"the image is constant: every voxel is {low:g}", "Export the image again.")


def _values_fit(findings: CaseFindings, label: Volume, label_map: LabelMap) -> bool:
    """Tell whether every value of a label is in the map; add a problem where one is not."""
    values, counts = np.unique(label.array, return_counts=True)
    odd = [(value, count) for value, count in zip(values, counts, strict=True) if not float(value).is_integer()]
    if odd:
        message = f"label values must be integers, got {_listing(odd)}"
        findings.add("label", "error", message, "Was it resampled? Resample labels by nearest neighbor.")
        return False
    outside = [(value, count) for value, count in zip(values, counts, strict=True) if int(value) not in label_map]
    if outside:
        known = ", ".join(f"{value} {label_key(meant).upper()}" for value, meant in sorted(label_map.items()))
        message = f"label values outside the label map: {_listing(outside)}; the map has {known}"
        findings.add("label", "error", message, "Choose the data set's label_map, or correct the label.")
    return not outside


def _listing(values: list[tuple[Any, Any]]) -> str:
    shown = ", ".join(f"{value:g} ({count} voxels)" for value, count in values[:_VALUES_SHOWN])
    return shown + (f" and {len(values) - _VALUES_SHOWN} more" if len(values) > _VALUES_SHOWN else "")


def _inspect_structures(findings: CaseFindings, label: Volume, label_map: LabelMap) -> None:
    mapped = np.zeros(label.array.shape, dtype=np.uint8)
    for value, meant in label_map.items():
        mapped[label.array == value] = meant
    counts = np.bincount(mapped.ravel(), minlength=FURTHER.stop)
    if label.affine is not None and label.array.ndim == 3:
        volume_ml = voxel_volume_ml(label.affine)
        # of a further label nothing is expected: a scar is in some hearts
        further = sorted({meant for meant in label_map.values() if meant in FURTHER})
        findings.row |= {
            f"{label_key(meant)}_ml": float(counts[meant] * volume_ml) for meant in (*FOREGROUND, *further)
        }
    absent = [structure for structure in FOREGROUND if counts[structure] == 0]
    drawn = findings.item.get("drawn", " ".join(structure.key for structure in FOREGROUND)).split()
    missing = [structure.name for structure in absent if structure.key in drawn]
    if missing:
        what = (
            "the label is empty" if len(absent) == len(FOREGROUND) else f"absent from the label: {', '.join(missing)}"
        )
        findings.add("label", "warning", what, "Check that the structure is really not in the image.")
    elif not absent and _cavities_look_swapped(mapped):
        message = "LV and RV look swapped: myocardium surrounds the RV rather than the LV"
        findings.add("label", "warning", message, "Check label_map: ACDC numbers RV 1, LV 3; M&Ms LV 1, RV 3.")


def _cavities_look_swapped(mapped: NDArray[np.uint8]) -> bool:
    """Tell whether the LV lies more open to the background than the RV does.

    Myocardium closes around the LV in nearly every slice and leaves the RV's free wall open. On ACDC's 200 labels the
    open part of the LV's in-plane border is 0 to 1 %, that of the RV's 56 to 83 %.
    """
    return _open_border(mapped, Structure.LV) > _open_border(mapped, Structure.RV)


def _open_border(mapped: NDArray[np.uint8], structure: Structure) -> float:
    background = total = 0
    for axis in (0, 1):
        ahead = np.moveaxis(mapped, axis, 0)
        for here, there in ((ahead[1:], ahead[:-1]), (ahead[:-1], ahead[1:])):
            neighbors = there[(here == structure) & (there != structure)]
            background += int(np.count_nonzero(neighbors == Structure.BACKGROUND))
            total += neighbors.size
    return background / total if total else 0.0


def _inspect_pair(findings: CaseFindings, image: Volume, label: Volume) -> None:
    if image.array.shape != label.array.shape:
        sizes = ["x".join(str(size) for size in volume.array.shape) for volume in (image, label)]
        message = f"image and label differ in shape: {sizes[0]} and {sizes[1]}"
        findings.add("label", "error", message, "Export both on the same grid.")
    elif image.affine is None or label.affine is None:
        return
    elif not same_grid(image.affine, label.affine, image.array.shape):
        message = f"image and label lie on different grids: {_grid_difference(image.affine, label.affine)}"
        way_out = "If they fit voxel by voxel, copy the image's header to the label; else resample the label."
        findings.add("label", "error", message, way_out)


def _grid_difference(affine: NDArray[np.float64], other: NDArray[np.float64]) -> str:
    """Return the first of spacing, origin and direction that differs, in words."""
    spacings = [", ".join(f"{step:.4g}" for step in spacing_mm(matrix)) for matrix in (affine, other)]
    if spacings[0] != spacings[1]:
        return f"spacing {spacings[0]} and {spacings[1]} mm"
    shift = float(np.linalg.norm(affine[:3, 3] - other[:3, 3]))
    return f"origins {shift:.3g} mm apart" if shift > 0.01 else "axes point in different directions"

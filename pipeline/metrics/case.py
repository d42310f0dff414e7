"""All the figures of one case, by names that stay the same in tables, logs and MLflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.labels import FOREGROUND, FURTHER, Structure, label_key
from pipeline.metrics import overlap
from pipeline.metrics.surface import penalty_mm, surface_distances

MEAN_MEASURES: tuple[str, ...] = ("dice", "iou", "hd95_mm", "assd_mm")
"""Measures that have a mean over the structures of a case, ``mean_dice`` and so on."""

RULES = (
    "A structure that neither label nor prediction has does not count: its figures are NaN and enter no mean. "
    "In the label alone (missed): Dice and IoU are 0, distances are the diagonal of the volume in mm. "
    "In the prediction alone (false alarm): the same. "
    "Means over structures and over cases run over what counts. "
    "HD95 is the larger of the two directed 95th percentiles, ASSD the mean over the surface voxels of both masks, "
    "in 3D, in mm, between voxel centers."
)


def measure_case(
    pred: NDArray[Any], label: NDArray[Any], spacing_mm: Sequence[float], surface: bool = True
) -> dict[str, float]:
    """Compare the prediction of one case with its label.

    A structure that neither mask has does not count: NaN, left out of the case's means. A structure in the label alone
    is missed, one in the prediction alone a false alarm: Dice and IoU are 0, and the distances are the diagonal of the
    volume (``surface.penalty_mm``), so that no mean improves where the model fails. A further label (4 and above) that
    one of the masks has is measured like a structure.

    Args:
        pred: integer array (X, Y, Z) or (X, Y) of the project's values, 0 to 3 and further labels.
        label: integer array of the same shape.
        spacing_mm: size of a voxel along each axis, > 0.
        surface: also measure the distances, about nine tenths of the time.

    Returns:
        Figures by name, for each structure ``rv``, ``myo``, ``lv`` and further label ``label_4``: ``dice_*`` and
        ``iou_*`` (0 to 1), ``hd95_mm_*`` and ``assd_mm_*`` (with ``surface``), ``missed_*`` and ``false_alarm_*`` (0 or
        1), ``volume_ml_*`` of the prediction and ``label_volume_ml_*`` (NaN for a plane); ``mean_dice``, ``mean_iou``,
        ``mean_hd95_mm``, ``mean_assd_mm`` over the structures that count (NaN where none does); ``accuracy`` of all
        voxels.

    Raises:
        ValueError: shapes differ, are neither 2D nor 3D, or do not fit the spacing; a spacing is not a positive number;
            values are not integers from 0 to 254.
    """
    _check_grid(pred.shape, spacing_mm)
    confusion = overlap.confusion_matrix(pred, label, _num_labels(pred, label))
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0 if pred.ndim == 3 else float("nan")  # 1 mL = 1000 mm^3
    further = [
        value for value in range(FURTHER.start, len(confusion)) if confusion[value].any() or confusion[:, value].any()
    ]
    figures: dict[int, dict[str, float]] = {}
    for structure in (*FOREGROUND, *further):
        figures[structure] = _overlap_figures(confusion, structure, voxel_ml)
        if surface:
            figures[structure] |= _surface_figures(pred == structure, label == structure, spacing_mm)
    return _row(figures) | {"accuracy": overlap.accuracy(confusion)}


def with_all_labels(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give each case the figures of every further label that one of the cases has.

    Args:
        rows: a case each, with the figures of ``measure_case``.

    Returns:
        The rows with the same names. A label that a case has in neither mask is absent there: its figures are NaN, it
        is neither missed nor a false alarm, and its volumes are 0.
    """
    zero = ("missed_", "false_alarm_", "volume_ml_", "label_volume_ml_")
    absent = {name: 0.0 if name.startswith(zero) else float("nan") for row in rows for name in row if "_label_" in name}
    return [{**row, **{name: row.get(name, value) for name, value in absent.items()}} for row in rows]


def mean_of_counted(values: Iterable[float]) -> float:
    """Return the mean over the values that are not NaN, or NaN where none counts."""
    counted = [value for value in values if not np.isnan(value)]
    return float(np.mean(counted)) if counted else float("nan")


def _check_grid(shape: Sequence[int], spacing_mm: Sequence[float]) -> None:
    if len(shape) not in (2, 3):
        raise ValueError(f"pred must have shape (X, Y, Z) or (X, Y), got {tuple(shape)}.")
    if len(spacing_mm) != len(shape):
        raise ValueError(f"spacing_mm must have one value an axis, got {len(spacing_mm)} for shape {tuple(shape)}.")
    if not all(np.isfinite(value) and value > 0 for value in spacing_mm):
        raise ValueError(f"spacing_mm must be positive numbers, got {[float(value) for value in spacing_mm]}.")


def _num_labels(pred: NDArray[Any], label: NDArray[Any]) -> int:
    highest = max(int(mask.max(initial=0)) for mask in (pred, label))
    return min(max(highest + 1, len(Structure)), FURTHER.stop)


def _overlap_figures(confusion: overlap.Confusion, structure: int, voxel_ml: float) -> dict[str, float]:
    in_label, in_pred = int(confusion[structure].sum()), int(confusion[:, structure].sum())
    return {
        "dice": overlap.dice(confusion, structure),
        "iou": overlap.iou(confusion, structure),
        "missed": float(in_label > 0 and in_pred == 0),
        "false_alarm": float(in_label == 0 and in_pred > 0),
        "volume_ml": in_pred * voxel_ml,
        "label_volume_ml": in_label * voxel_ml,
    }


def _surface_figures(pred: NDArray[Any], label: NDArray[Any], spacing_mm: Sequence[float]) -> dict[str, float]:
    in_pred, in_label = bool(pred.any()), bool(label.any())
    if in_pred and in_label:
        distances = surface_distances(pred, label, spacing_mm)
        return {"hd95_mm": distances.hd95_mm, "assd_mm": distances.assd_mm}
    value = penalty_mm(pred.shape, spacing_mm) if in_pred or in_label else float("nan")
    return {"hd95_mm": value, "assd_mm": value}


def _row(figures: dict[int, dict[str, float]]) -> dict[str, float]:
    measures = list(next(iter(figures.values())))
    means = {
        f"mean_{measure}": mean_of_counted(values[measure] for values in figures.values())
        for measure in MEAN_MEASURES
        if measure in measures
    }
    return means | {
        f"{measure}_{label_key(label)}": values[measure] for measure in measures for label, values in figures.items()
    }

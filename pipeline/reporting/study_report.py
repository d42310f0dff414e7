"""The report of one study: flags, numbers beside normal ranges, volume curve, contours, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dicom.cine import Repair
from pipeline.metrics.function import CardiacFunction
from pipeline.metrics.quality import QualityFlag
from pipeline.reporting.montage import Panel, montage
from pipeline.reporting.numbers_table import has_one_phase, number_notes, number_tables
from pipeline.reporting.page import write_page
from pipeline.reporting.volume_curve import beat_times, name_phase, volume_curve

_PHASE_NAMES = (("ED", "End-diastole"), ("ES", "End-systole"))
_ONE_PHASE_NAMES = (("", "The one phase of the scan"),)


@dataclass(frozen=True)
class _Flag:
    """A flag as the template draws it: the sentence, and the phase in a reader's words."""

    message: str
    where: str


@dataclass(frozen=True)
class _Sheet:
    """The slices of one phase: its short (or no) and long name, where it lies in the beat, and the panels."""

    short: str
    name: str
    where: str
    panels: tuple[Panel, ...]


def write_study_report(
    path: str | Path,
    *,
    title: str,
    image: NDArray[Any],
    mask: NDArray[Any],
    affine: NDArray[Any],
    function: CardiacFunction,
    flags: Sequence[QualityFlag] = (),
    repairs: Sequence[Repair] = (),
    provenance: Mapping[str, str] | None = None,
    identifiers: Mapping[str, str] | None = None,
    sex: str | None = None,
    label: NDArray[Any] | None = None,
) -> Path:
    """Write the report of a study as one HTML file that needs no network, no script and no other file.

    Args:
        path: HTML file, written atomically; missing folders are made.
        title: name of the study, such as its ``case_id``.
        image: intensities (X, Y, slices, phases), any unit.
        mask: integer array of the same shape, values 0 to 3.
        affine: 4x4, from voxel indices to mm.
        function: clinical numbers of the mask.
        flags: reasons to look at the study, shown first.
        repairs: what was wrong with the input and what was done.
        provenance: how the numbers were made, by name: version, checksum of the weights, settings, date.
        identifiers: of the patient, by name; None leaves the patient unnamed.
        sex: of the patient, as ``normal_ranges`` takes it; the ranges of both sexes are shown where unknown.
        label: the expert's mask, drawn as dashed border, or None.

    Returns:
        The path written.

    Raises:
        ValueError: image, mask or label are not (X, Y, slices, phases) of one shape, or ``function`` has other phases.
    """
    _check(image, mask, label, function)
    return write_page(
        path,
        "study_report.html",
        style="report.css",
        title=title,
        identifiers=dict(identifiers or {}),
        flags=[_Flag(flag.message, "" if flag.phase is None else name_phase(function, flag.phase)) for flag in flags],
        tables=number_tables(function, sex),
        notes=number_notes(function, sex),
        num_phases=mask.shape[3],
        curve=volume_curve(function),
        phases=_phase_table(function),
        sheets=_sheets(image, mask, affine, function, label),
        with_label=label is not None,
        repairs=repairs,
        provenance=dict(provenance or {}),
    )


def _check(image: NDArray[Any], mask: NDArray[Any], label: NDArray[Any] | None, function: CardiacFunction) -> None:
    shapes = {image.shape, mask.shape} | ({label.shape} if label is not None else set())
    if len(shapes) > 1 or mask.ndim != 4:
        raise ValueError(
            f"image, mask and label must be (X, Y, slices, phases) and of one shape, got {sorted(shapes)}."
        )
    if mask.shape[3] != len(function.lv_ml):
        raise ValueError(
            f"function must have the phases of the mask, got {len(function.lv_ml)} for {mask.shape[3]} phases."
        )


def _sheets(
    image: NDArray[Any], mask: NDArray[Any], affine: NDArray[Any], function: CardiacFunction, label: NDArray[Any] | None
) -> list[_Sheet]:
    phases = list(dict.fromkeys((function.ed_phase, function.es_phase)))
    panels = montage(
        [np.asarray(image[..., phase]) for phase in phases],
        [np.asarray(mask[..., phase]) for phase in phases],
        affine,
        [] if label is None else [np.asarray(label[..., phase]) for phase in phases],
    )
    names = _ONE_PHASE_NAMES if has_one_phase(function) else _PHASE_NAMES
    return [
        _Sheet(short, name, name_phase(function, phase), slices)
        for (short, name), phase, slices in zip(names, phases, panels, strict=False)
    ]


def _phase_table(function: CardiacFunction) -> list[dict[str, Any]]:
    beat = beat_times(function)
    return [
        {
            "phase": phase + 1,
            "time": f"{time:.0f}" if beat.in_ms else None,
            "name": {function.es_phase: "ES", function.ed_phase: "ED"}.get(phase, ""),
            "volumes": [f"{curve[phase]:.1f}" for curve in (function.lv_ml, function.rv_ml, function.myo_ml)],
        }
        for phase, time in enumerate(beat.places)
    ]

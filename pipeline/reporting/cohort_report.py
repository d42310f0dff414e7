"""The report of a cohort: the studies that need a look first, agreement with the experts where there are labels."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from pipeline.labels import FOREGROUND
from pipeline.metrics.function import CardiacFunction
from pipeline.metrics.quality import QualityFlag
from pipeline.metrics.summary import PHASES, summarize
from pipeline.reporting.bland_altman import AgreementPairs, BlandAltmanChart, bland_altman_chart, signed
from pipeline.reporting.dice_strip import dice_strips
from pipeline.reporting.montage import Panel
from pipeline.reporting.numbers_table import known_numbers
from pipeline.reporting.page import write_page

MAX_PICTURES = 200
"""Studies with a picture, the first ones of the table: about 6 kB each."""

_STATUSES = ("failed", "flagged", "ok")
# columns that are left out where no study has a value
_OPTIONAL = ("LV volume", "RV volume", "Dice", "Expected Dice", "Time")
# attribute of CardiacFunction, heading, unit, decimals
_NUMBERS = (
    ("lv_edv_ml", "LV EDV", "mL", 0),
    ("lv_esv_ml", "LV ESV", "mL", 0),
    ("lv_ef_percent", "LV EF", "%", 1),
    ("lv_mass_g", "LV mass", "g", 0),
    ("rv_edv_ml", "RV EDV", "mL", 0),
    ("rv_ef_percent", "RV EF", "%", 1),
    # of scans of one phase, which may be any
    ("lv_ml", "LV volume", "mL", 0),
    ("rv_ml", "RV volume", "mL", 0),
)


@dataclass(frozen=True)
class StudyRow:
    """One study of the table.

    Attributes:
        case_id: name of the study.
        function: its numbers, None where it failed.
        flags: reasons to look at it.
        seconds: time that it took.
        reason: why it failed, else empty.
        report: its own report, linked to by a relative path.
        picture: of ``montage.thumbnail``, or None.
        numbers: by attribute of ``CardiacFunction``, in place of ``function`` where no more than these are known.
        expected_dice: lowest of its phases' Dice that the masks expect of themselves (``transforms.ExpectedDice``).
    """

    case_id: str
    function: CardiacFunction | None = None
    flags: Sequence[QualityFlag] = ()
    seconds: float | None = None
    reason: str = ""
    report: Path | None = None
    picture: Panel | None = None
    numbers: Mapping[str, float | None] | None = None
    expected_dice: float | None = None

    @property
    def status(self) -> str:
        """``"failed"``, ``"flagged"`` or ``"ok"``."""
        if self.reason:
            return "failed"
        return "flagged" if self.flags else "ok"


@dataclass(frozen=True)
class _Cell:
    """A number of the table: name and unit of its column, its text, and what it is sorted by (empty: last)."""

    name: str
    unit: str
    text: str | None
    value: float | str


@dataclass(frozen=True)
class _Line:
    """A study as the template draws it."""

    case_id: str
    link: str
    status: str
    reasons: tuple[str, ...]
    picture: Panel | None
    cells: tuple[_Cell, ...]


def write_cohort_report(
    path: str | Path,
    *,
    studies: Sequence[StudyRow],
    dice: pd.DataFrame | None = None,
    agreement: Sequence[AgreementPairs] = (),
    provenance: Mapping[str, str] | None = None,
    title: str = "Cohort report",
    unflagged: str = "That no check has found anything does not prove the contours right.",
) -> Path:
    """Write the report of a cohort as one HTML file that needs no network.

    The table has failed studies first, then flagged ones, then the others; within these, the lowest Dice first where
    there are labels, else the lowest that the masks expect of themselves, else by name. A few lines of script sort it
    by other columns; without script it stays as it is.

    Args:
        path: HTML file, written atomically; missing folders are made.
        studies: a row each.
        dice: ``metrics.csv`` of an evaluation: a row a case, with ``case_id``, ``patient_id``, ``phase`` and the
            figures of ``measure_case``. A study's Dice is the mean over the rows with its name as ``case_id``, with or
            without the phase at its end, or as ``patient_id``.
        agreement: numbers with the experts' values (``bland_altman.agreement_pairs``), one Bland-Altman plot each.
        provenance: how the numbers were made, by name.
        title: of the page.
        unflagged: what it means that no study is flagged.

    Returns:
        The path written.
    """
    path = Path(path)
    rows = (
        [] if dice is None else [{str(name): value for name, value in row.items()} for row in dice.to_dict("records")]
    )
    plots = _plots(agreement)
    ordered = _worst_first(studies, rows)
    lines = [_line(study, mean_dice, place, path.parent) for place, (study, mean_dice) in enumerate(ordered)]
    counts = {status: sum(study.status == status for study in studies) for status in _STATUSES}
    return write_page(
        path,
        "cohort_report.html",
        style="report.css",
        script="sort_tables.js",
        title=title,
        unflagged=unflagged,
        counts=counts,
        num_studies=len(studies),
        lines=lines,
        hidden=[
            name
            for name in _OPTIONAL
            if not any(cell.text for line in lines for cell in line.cells if cell.name == name)
        ],
        plots=plots,
        agreement_rows=[_agreement_row(chart) for chart in plots],
        dice_table=_dice_table(rows),
        dice_chart=dice_strips(rows),
        provenance=dict(provenance or {}),
    )


def _worst_first(studies: Sequence[StudyRow], rows: Sequence[Mapping[str, Any]]) -> list[tuple[StudyRow, float | None]]:
    by_name: dict[str, list[float]] = {}
    for row in rows:
        if math.isfinite(row["mean_dice"]):
            for name in _names_of_study(row):
                by_name.setdefault(name, []).append(float(row["mean_dice"]))
    pairs = [(study, _mean(by_name.get(study.case_id, []))) for study in studies]

    def rank(pair: tuple[StudyRow, float | None]) -> tuple[int, float, str]:
        study, mean_dice = pair
        known = [value for value in (mean_dice, study.expected_dice) if value is not None and math.isfinite(value)]
        return _STATUSES.index(study.status), known[0] if known else math.inf, study.case_id

    return sorted(pairs, key=rank)


def _names_of_study(row: Mapping[str, Any]) -> set[str]:
    case_id = str(row["case_id"])
    return {case_id, case_id.removesuffix(f"_{row.get('phase')}"), str(row.get("patient_id"))}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _line(study: StudyRow, mean_dice: float | None, place: int, folder: Path) -> _Line:
    numbers = study.numbers or (known_numbers(study.function) if study.function else {})
    cells = [_cell(name, unit, numbers.get(attribute), digits) for attribute, name, unit, digits in _NUMBERS]
    return _Line(
        case_id=study.case_id,
        link=_link(study.report, folder),
        status=study.status,
        reasons=(study.reason,) if study.reason else tuple(flag.message for flag in study.flags),
        picture=study.picture if place < MAX_PICTURES else None,
        cells=(
            *cells,
            _cell("Dice", "", mean_dice, 3),
            _cell("Expected Dice", "", study.expected_dice, 3),
            _cell("Time", "s", study.seconds, 1),
        ),
    )


def _cell(name: str, unit: str, value: float | None, digits: int) -> _Cell:
    if value is None or not math.isfinite(value):
        return _Cell(name, unit, None, "")
    return _Cell(name, unit, f"{value:.{digits}f}", value)


def _link(report: Path | None, folder: Path) -> str:
    """Return a relative, quoted link: no name can make it another scheme, host or query."""
    if report is None:
        return ""
    try:
        return "./" + quote(os.fsencode(Path(os.path.relpath(report, folder)).as_posix()))
    except ValueError:  # on another drive, or with a character that no file name has
        return ""


def _plots(agreement: Sequence[AgreementPairs]) -> list[BlandAltmanChart]:
    charts = [bland_altman_chart(pairs) for pairs in agreement]
    return [chart for chart in charts if chart is not None]


def _agreement_row(chart: BlandAltmanChart) -> dict[str, Any]:
    figures = chart.figures
    return {
        "name": chart.name,
        "unit": chart.unit,
        "n": figures.n,
        "bias": _or_none(signed, figures.bias),
        "sd": _or_none("{:.1f}".format, figures.sd),
        "limits": None
        if figures.lower_limit is None or figures.upper_limit is None
        else f"{signed(figures.lower_limit)} to {signed(figures.upper_limit)}",
        "error": _or_none("{:.1f}".format, figures.mean_absolute_error),
        "r": _or_none("{:.3f}".format, figures.pearson_r),
    }


def _or_none(show: Callable[[float], str], value: float | None) -> str | None:
    return None if value is None else show(value)


def _dice_table(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row a structure and phase: what the summary of the evaluation says of its Dice."""
    if not rows:
        return []
    summary = summarize(rows)
    phases = [phase for phase in (*PHASES, "all") if phase in summary]
    return [
        {"structure": structure.name, "phase": phase.upper() if phase in PHASES else phase}
        | summary[phase][structure.key]["dice"]
        | {name: summary[phase][structure.key][name] for name in ("missed", "false_alarms")}
        for structure in FOREGROUND
        for phase in phases
    ]

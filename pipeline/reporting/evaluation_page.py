"""The page of an evaluation: each study's numbers and Dice, agreement with the experts, the worst cases as pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.labels import FOREGROUND
from pipeline.metrics.quality import QualityFlag
from pipeline.metrics.studies import QUANTITIES, REFERENCE_PREFIX
from pipeline.reporting.bland_altman import AGREEMENT_NUMBERS, AgreementPairs
from pipeline.reporting.cohort_report import StudyRow, write_cohort_report
from pipeline.reporting.montage import Panel
from pipeline.reporting.overlay import STRUCTURE_NAMES

Row = Mapping[str, Any]


def write_evaluation_page(
    path: str | Path,
    rows: Sequence[Row],
    studies: Sequence[Row],
    pictures: Mapping[str, Panel] | None = None,
    provenance: Mapping[str, str] | None = None,
    title: str = "Evaluation report",
) -> Path:
    """Write the report of an evaluation as one HTML file that needs no network.

    Args:
        path: HTML file, written atomically.
        rows: a case each, what ``SegmentationMetrics.rows`` returns.
        studies: a study each, what ``pipeline.metrics.studies.pair_studies`` makes of the rows. Cases of no study have
            a line of their own, without numbers.
        pictures: of ``montage.thumbnail`` by ``case_id``, for some of the cases. A study shows the one of lowest Dice.
        provenance: how the numbers were made, by name.
        title: of the page.

    Returns:
        The path written.
    """
    return write_cohort_report(
        path,
        studies=_study_rows(rows, studies, pictures or {}),
        dice=pd.DataFrame(rows),
        agreement=study_agreement(studies),
        provenance=provenance,
        title=title,
        unflagged="Flagged is here a structure that the software missed, or found where the expert drew none.",
    )


def study_agreement(studies: Sequence[Row]) -> list[AgreementPairs]:
    """Pair the numbers of studies with those of their labels, one entry for each of ``AGREEMENT_NUMBERS``."""
    names = [str(study["study_id"]) for study in studies]
    return [
        AgreementPairs(
            name, unit, names, [study[key] for study in studies], [study[REFERENCE_PREFIX + key] for study in studies]
        )
        for key, name, unit in AGREEMENT_NUMBERS
    ]


def _study_rows(rows: Sequence[Row], studies: Sequence[Row], pictures: Mapping[str, Panel]) -> list[StudyRow]:
    of_study = {str(study["study_id"]): _rows_of(rows, str(study["study_id"])) for study in studies}
    numbers = {str(study["study_id"]): {name: study[name] for name in QUANTITIES} for study in studies}
    paired = {row["case_id"] for members in of_study.values() for row in members}
    alone = {str(row["case_id"]): [row] for row in rows if row["case_id"] not in paired}
    return [
        StudyRow(name, numbers=numbers.get(name, {}), flags=_flags(members), picture=_picture(members, pictures))
        for name, members in (of_study | alone).items()
    ]


def _rows_of(rows: Sequence[Row], study_id: str) -> list[Row]:
    own = [row for row in rows if row["case_id"] in (f"{study_id}_ed", f"{study_id}_es")]
    return own or [row for row in rows if row.get("patient_id") == study_id]


def _flags(rows: Sequence[Row]) -> list[QualityFlag]:
    findings = (
        ("missed", "{name} missed{where}: the expert drew it."),
        ("false_alarm", "{name} found{where} where the expert drew none."),
    )
    return [
        QualityFlag(code, text.format(name=STRUCTURE_NAMES[structure].capitalize(), where=_where(row)))
        for row in rows
        for code, text in findings
        for structure in FOREGROUND
        if row[f"{code}_{structure.key}"]
    ]


def _where(row: Row) -> str:
    return f" at {row['phase'].upper()}" if row.get("phase") else ""


def _picture(rows: Sequence[Row], pictures: Mapping[str, Panel]) -> Panel | None:
    shown = [row for row in rows if row["case_id"] in pictures]
    if not shown:
        return None
    # a case whose Dice is not known has nothing to look at
    worst = min(shown, key=lambda row: (math.isnan(row["mean_dice"]), row["mean_dice"]))
    return pictures[worst["case_id"]]

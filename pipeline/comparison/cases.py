"""The figures of each case, as a run has left them among its artifacts."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.comparison.records import RunRecord
from pipeline.comparison.source import RunSource
from pipeline.errors import InputError

CASES_ARTIFACT = "evaluation/metrics.csv"
_NAMES = ("case_id", "patient_id", "phase", "group", "fold")
_COUNTED = ("missed_", "false_alarm_")
TOLERANCE = 1e-9
"""Of equal figures: another number of threads adds in another order."""


@dataclass(frozen=True)
class Cases:
    """A table of cases.

    Attributes:
        case_ids: names of the cases, each once.
        patient_ids: patient of each case; the case itself where no patient is named.
        figures: by name, a value a case, ``(num_cases,)``; NaN where the case does not count.
    """

    case_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    figures: Mapping[str, NDArray[np.float64]]

    def __post_init__(self) -> None:
        """Refuse a case that comes twice."""
        twice = [case for case, number in Counter(self.case_ids).items() if number > 1]
        if twice:
            raise InputError(f"{len(twice)} cases are there twice: folds that are pooled must not share cases.")

    def __len__(self) -> int:
        return len(self.case_ids)

    def take(self, case_ids: Sequence[str]) -> Cases:
        """Return these cases, in this order."""
        places = {case: place for place, case in enumerate(self.case_ids)}
        chosen = [places[case] for case in case_ids]
        figures = {name: values[chosen] for name, values in self.figures.items()}
        return Cases(tuple(case_ids), tuple(self.patient_ids[place] for place in chosen), figures)

    def equals(self, other: Cases) -> bool:
        """Return whether both have the same cases, and the same value of each figure that both have.

        A second evaluation of the same weights does, to the last digit that a table keeps.
        """
        if set(self.case_ids) != set(other.case_ids):
            return False
        theirs, shared = other.take(self.case_ids), self.figures.keys() & other.figures.keys()
        return all(
            np.allclose(self.figures[key], theirs.figures[key], rtol=0, atol=TOLERANCE, equal_nan=True)
            for key in shared
        )

    def summary(self) -> dict[str, float]:
        """Return each figure's mean over the cases that count; of ``missed_…`` and ``false_alarm_…`` the number."""
        return {name: _sum_up(name, values) for name, values in self.figures.items()}


def _sum_up(name: str, values: NDArray[np.float64]) -> float:
    counted = values[~np.isnan(values)]
    if not counted.size:
        return float("nan")
    return float(counted.sum() if name.startswith(_COUNTED) else counted.mean())


def pool(tables: Sequence[Cases]) -> Cases:
    """Put the cases of several runs, the folds of a cross-validation, into one table.

    Args:
        tables: at least one; figures that one of them lacks are left out.

    Raises:
        InputError: a case is in two of them.
    """
    shared = [name for name in tables[0].figures if all(name in table.figures for table in tables)]
    return Cases(
        tuple(case for table in tables for case in table.case_ids),
        tuple(patient for table in tables for patient in table.patient_ids),
        {name: np.concatenate([table.figures[name] for table in tables]) for name in shared},
    )


def read_cases(source: RunSource, record: RunRecord) -> Cases:
    """Read the table of cases that the evaluation of a run has written.

    Raises:
        InputError: the run has none, or it is damaged.
    """
    try:
        text = source.text(record, CASES_ARTIFACT)
    except Exception as error:  # MLflow's, the system's or the network's, by the kind of artifact store
        raise InputError(
            f"The run '{record.name}' ({record.id}, {record.status}) has no {CASES_ARTIFACT}: it ended before its "
            "evaluation, or its artifacts cannot be reached from here."
        ) from error
    return parse_cases(text, f"{CASES_ARTIFACT} of the run '{record.name}'")


def parse_cases(text: str, name: str = CASES_ARTIFACT) -> Cases:
    """Read a table of cases.

    Args:
        text: the file's content: CSV with ``case_id``, and figures in the columns that do not name the case.
        name: of the file, for the message.

    Raises:
        InputError: there is no ``case_id``, no case, one that comes twice, or a figure that is no number.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or "case_id" not in rows[0]:
        raise InputError(f"{name} must have a column case_id and at least one case. Evaluate the run again.")
    try:
        figures = {
            key: np.array([float(row[key] or "nan") for row in rows], dtype=np.float64)
            for key in rows[0]
            if key not in _NAMES
        }
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is damaged ({error}). Evaluate the run again.") from error
    patients = tuple(row.get("patient_id") or row["case_id"] for row in rows)
    return Cases(tuple(row["case_id"] for row in rows), patients, figures)

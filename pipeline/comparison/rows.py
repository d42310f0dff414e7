"""A line a run: folds as one, names made unique, the best on top."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.comparison.cases import Cases, pool
from pipeline.comparison.records import RunRecord
from pipeline.errors import InputError

CROSS_VALIDATION = "cross-validation"
COMPUTED = ("training", "evaluating")
"""Jobs of runs that have a row although others are nested in them."""
FOLD_PARAM = "fold"
SHORT_ID = 6
PARAMETERS_KEYS = ("num_parameters", "model.num_parameters")
"""Metric or tag that holds how many weights the network has."""
_SOURCES = {"best_": "best", "val_": "latest"}
_WORST_FIRST = ("FAILED", "KILLED", "RUNNING", "SCHEDULED", "FINISHED")

ReadCases = Callable[[RunRecord], Cases]


@dataclass(frozen=True)
class Row:
    """A run, or a cross-validation with all of its folds, in the comparison.

    Attributes:
        label: its name; with the beginning of its id where another has the same name.
        record: the run; of a cross-validation the parent.
        folds: the runs nested in it whose cases are pooled.
        figures: ``mean_dice`` and so on, as far as known.
        source: where the figures come from: ``"best"`` weights, the ``"latest"`` validation, the ``"pooled"`` cases of
            all folds; empty where there are none.
    """

    label: str
    record: RunRecord
    folds: tuple[RunRecord, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    source: str = ""

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """The runs that were computed: the folds, else the run itself."""
        return self.folds or (self.record,)

    @property
    def status(self) -> str:
        """Status of the run; of folds the worst."""
        found = {run.status for run in self.runs}
        return next((status for status in _WORST_FIRST if status in found), self.record.status)

    @property
    def minutes(self) -> float:
        """Time of computation, summed over folds; NaN where it is not known of all."""
        return sum(run.minutes for run in self.runs)

    @property
    def digest(self) -> str:
        """Digest of the data; empty where it is unknown or not the same in all folds."""
        digests = {run.digest for run in (*self.runs, self.record)} - {""}
        return digests.pop() if len(digests) == 1 and all(run.digest for run in self.runs) else ""

    @property
    def device(self) -> str:
        """Device of the computation."""
        return ", ".join(sorted({run.tags.get("device", "") for run in self.runs} - {""}))

    @property
    def num_parameters(self) -> float:
        """Weights of the network; NaN where they were not recorded."""
        for key in PARAMETERS_KEYS:
            for run in self.runs:
                if key in run.metrics:
                    return run.metrics[key]
                if run.tags.get(key, "").isdecimal():
                    return float(run.tags[key])
        return math.nan

    @property
    def params(self) -> dict[str, str]:
        """Settings; of folds those that all of them share."""
        first, *others = self.runs
        return {
            key: value for key, value in first.params.items() if all(run.params.get(key) == value for run in others)
        }


def arrange(records: Sequence[RunRecord], read: ReadCases, measure: str = "mean_dice") -> tuple[list[Row], list[str]]:
    """Make a row of each run, and one of each cross-validation.

    Runs that are nested in a cross-validation, or have each its own value of the parameter ``fold``, are folds: they
    are pooled and have no rows of their own. Other nested runs, such as the trials of a sweep, are rows like any
    other; what holds them together is none.

    Args:
        records: runs of an experiment.
        read: reads the cases of a run, to pool folds; an InputError of it is noted.
        measure: figure to sort by, the best first; runs without it come last.

    Returns:
        The rows, and notes on what a reader must know.
    """
    children = _children(records)
    jobs = {record.id: record.tags.get("job", "") for record in records}
    folds = {parent: runs for parent, runs in children.items() if _are_folds(jobs[parent], runs)}
    hidden = {run.id for runs in folds.values() for run in runs}
    names = Counter(record.name for record in records if record.id not in hidden)
    rows, notes = [], []
    for record in records:
        if record.id in hidden or (record.id in children.keys() - folds.keys() and jobs[record.id] not in COMPUTED):
            continue
        label = record.name if names[record.name] == 1 else f"{record.name} ({record.id[:SHORT_ID]})"
        row, note = _row(label, record, folds.get(record.id, ()), read)
        rows.append(row)
        notes += [note] if note else []
    return sorted(rows, key=lambda row: _rank(row, measure)), notes + _notes(rows, names)


def _children(records: Iterable[RunRecord]) -> dict[str, list[RunRecord]]:
    known = {record.id for record in records}
    children: dict[str, list[RunRecord]] = defaultdict(list)
    for record in records:
        if record.parent_id in known:
            children[record.parent_id].append(record)
    return children


def _are_folds(job: str, runs: Sequence[RunRecord]) -> bool:
    if job == CROSS_VALIDATION:
        return True
    folds = [run.params.get(FOLD_PARAM) for run in runs]
    return len(runs) > 1 and None not in folds and len(set(folds)) == len(folds)


def _row(label: str, record: RunRecord, folds: Sequence[RunRecord], read: ReadCases) -> tuple[Row, str]:
    if folds and record.figures:
        return Row(label, record, tuple(folds), record.figures, "pooled"), ""
    if not folds:
        return Row(label, record, figures=record.figures, source=_SOURCES.get(record.figures_prefix, "")), ""
    try:
        figures = pool([read(fold) for fold in folds]).summary()
    except InputError as error:
        return Row(label, record, tuple(folds)), f"{label}: its folds cannot be pooled. {error}"
    return Row(label, record, tuple(folds), figures, "pooled"), ""


def _rank(row: Row, measure: str) -> tuple[bool, float, int]:
    value = row.figures.get(measure, math.nan)
    unknown = math.isnan(value)
    sign = 1.0 if "_mm" in measure or measure.startswith(("missed", "false")) else -1.0
    return unknown, 0.0 if unknown else sign * value, row.record.start_ms


def _notes(rows: Sequence[Row], names: Mapping[str, int]) -> list[str]:
    notes = []
    shared = [name for name, number in names.items() if number > 1]
    if shared:
        notes.append(f"{_plural(len(shared), 'name')} of several runs: told apart by the beginning of their ids.")
    unfinished = [row.label for row in rows if row.status != "FINISHED"]
    if unfinished:
        notes.append(f"{_plural(len(unfinished), 'run')} not finished, such as {unfinished[0]}: figures may change.")
    jumped = [row.label for row in rows if any(run.clock_jumped for run in row.runs)]
    if jumped:
        notes.append(f"{_plural(len(jumped), 'run')} ended before the start, such as {jumped[0]}: the clock was set.")
    latest = [row.label for row in rows if row.source == "latest" and row.record.tags.get("job") == "training"]
    if latest:
        notes.append(
            f"{_plural(len(latest), 'training')} without a final evaluation, such as {latest[0]}: marked *, figures of "
            "the latest validation."
        )
    return notes


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

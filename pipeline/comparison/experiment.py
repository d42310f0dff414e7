"""An experiment compared: its runs in one table, the differences between them with their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.comparison.cases import Cases, pool, read_cases
from pipeline.comparison.charts import MAX_SERIES
from pipeline.comparison.opening import open_source
from pipeline.comparison.paired import Pair, adjust, compare_paired
from pipeline.comparison.params import Setting, differing_settings
from pipeline.comparison.records import RunRecord, choose_runs
from pipeline.comparison.rows import Row, arrange
from pipeline.comparison.source import RunSource, find_experiment, no_runs
from pipeline.errors import InputError
from pipeline.tracking.keys import hide_credentials

Curve = list[tuple[float, float]]

CURVE_METRIC = "val_mean_dice"
MAX_ERRORS = 3
"""Reasons that are told one by one."""
MAX_PAIRS = 8
"""Runs that are compared with the best one unless two are named: each costs the reading of a file."""


@dataclass(frozen=True)
class Comparison:
    """What there is to tell of an experiment.

    Attributes:
        experiment: its name.
        store: address of the store, without password.
        rows: a run each, the best first.
        settings: in which they differ, in the order of ``rows``.
        pairs: runs compared case by case.
        curves: validation Dice by epoch of the first runs, by their labels.
        notes: what a reader must know.
    """

    experiment: str
    store: str
    rows: tuple[Row, ...]
    settings: tuple[Setting, ...]
    pairs: tuple[Pair, ...] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class CaseReader:
    """Reads the cases of runs and rows, each file once.

    Args:
        source: the store.
    """

    def __init__(self, source: RunSource) -> None:
        self._source = source
        self._known: dict[str, Cases | InputError] = {}

    def of_run(self, record: RunRecord) -> Cases:
        """Return the cases of a run.

        Raises:
            InputError: see ``read_cases``.
        """
        if record.id not in self._known:
            try:
                self._known[record.id] = read_cases(self._source, record)
            except InputError as error:
                self._known[record.id] = error
        found = self._known[record.id]
        if isinstance(found, InputError):
            raise found
        return found

    def of_row(self, row: Row) -> Cases:
        """Return the cases of a row: of a cross-validation those that it has pooled, else those of all folds.

        Raises:
            InputError: a run has none, or folds share cases.
        """
        runs = (row.record,) if row.record.figures else row.runs
        return pool([self.of_run(run) for run in runs])


def compare_experiment(
    experiment: str,
    tracking_uri: str = "",
    runs: Sequence[str] = (),
    paired: Sequence[str] = (),
    *,
    measure: str = "mean_dice",
    allow_different_data: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare the runs of an MLflow experiment.

    Args:
        experiment: name or id.
        tracking_uri: where the runs are recorded, see ``resolve_tracking_uri``.
        runs: ids, beginnings of ids or names; all runs where empty.
        paired: two of them to compare case by case; where empty, the best with each of the next ``MAX_PAIRS``.
        measure: figure that the runs are sorted by.
        allow_different_data: also compare runs whose data digests differ or are unknown.
        seed: of the bootstrap.

    Returns:
        The comparison; nothing is written to the store.

    Raises:
        InputError: the store, the experiment or a run cannot be found, or the two of ``paired`` cannot be compared.
    """
    source = open_source(tracking_uri)
    found = find_experiment(source, experiment)
    records = [record for record in source.runs(found.id) if _is_compared(record)]
    if not records:
        raise no_runs(source, found)
    reader = CaseReader(source)
    rows, notes = arrange(_chosen(records, [*runs, *paired] if runs else ()), reader.of_run, measure)
    _require_measure(rows, measure)
    settings = differing_settings([row.params for row in rows])
    if paired:
        pairs = [_named_pair(rows, records, paired, reader, allow_different_data, seed)]
    else:
        pairs, more = _pairs_with_best(rows, reader, allow_different_data, seed)
        notes += more
    curves = read_curves(source, rows)
    store = hide_credentials(source.uri)
    return Comparison(found.name, store, tuple(rows), tuple(settings), tuple(pairs), curves, tuple(notes))


def _require_measure(rows: Sequence[Row], measure: str) -> None:
    known = sorted({key for row in rows for key in row.figures})
    if known and measure not in known:
        raise InputError(f"No run has the figure '{measure}' to sort by. There are: {', '.join(known)}.")


def _is_compared(record: RunRecord) -> bool:
    # a parent of folds or trials has a job of its own
    return record.tags.get("job", "") not in ("inference", "quantizing")


def _chosen(records: Sequence[RunRecord], wanted: Sequence[str]) -> list[RunRecord]:
    """The wanted runs with those that are nested in them."""
    if not wanted:
        return list(records)
    chosen = {record.id: record for record in choose_runs(records, wanted)}
    nested = [record for record in records if record.parent_id in chosen]
    return list({**chosen, **{record.id: record for record in nested}}.values())


def _named_pair(
    rows: Sequence[Row],
    records: Sequence[RunRecord],
    paired: Sequence[str],
    reader: CaseReader,
    allow_different_data: bool,
    seed: int,
) -> Pair:
    if len(paired) != 2:
        raise InputError(f"paired must name two runs, got {len(paired)}.")
    chosen = choose_runs(records, paired)
    if len(chosen) != 2:
        raise InputError(f"paired must name two different runs, got '{chosen[0].name}' twice.")
    by_id = {row.record.id: row for row in rows}
    # a fold has no row of its own
    a, b = (by_id.get(record.id, Row(record.name, record)) for record in chosen)
    return compare_rows(a, b, reader, allow_different_data=allow_different_data, seed=seed)


def compare_rows(a: Row, b: Row, reader: CaseReader, *, allow_different_data: bool = False, seed: int = 0) -> Pair:
    """Compare two rows case by case.

    Raises:
        InputError: their data differ or are unknown and that is not allowed, a table of cases is missing, or they have
            no case in common.
    """
    if not allow_different_data and (a.digest != b.digest or not a.digest):
        raise InputError(
            f"'{a.label}' and '{b.label}' were not recorded on the same data (dataset_digest "
            f"{a.digest[:12] or 'unknown'} and {b.digest[:12] or 'unknown'}): the same case may have another label. "
            "Compare them all the same by --allow_different_data."
        )
    return compare_paired(a.label, reader.of_row(a), b.label, reader.of_row(b), seed)


def _pairs_with_best(
    rows: Sequence[Row], reader: CaseReader, allow_different_data: bool, seed: int
) -> tuple[list[Pair], list[str]]:
    """The best row that has cases against those that follow; what cannot be compared is noted."""
    counted = [row for row in rows if row.figures]
    readable, errors = _readable(counted, reader)
    pairs = []
    for other in readable[1:]:
        try:
            pair = compare_rows(readable[0], other, reader, allow_different_data=allow_different_data, seed=seed)
            pairs.append(pair)
        except InputError as error:
            errors.append(str(error))
    notes = [f"Not compared case by case: {error}" for error in errors[:MAX_ERRORS]]
    if len(errors) > MAX_ERRORS:
        notes.append(f"Not compared case by case: {len(errors) - MAX_ERRORS} more runs.")
    if len(counted) > MAX_PAIRS + 1:
        notes.append(f"Compared case by case: the best run with the {MAX_PAIRS} next ones; others by --paired A B.")
    return adjust(pairs), notes


def _readable(rows: Sequence[Row], reader: CaseReader) -> tuple[list[Row], list[str]]:
    """The first rows that have cases, each of other weights, and why others are left out."""
    readable: list[Row] = []
    errors: list[str] = []
    for row in rows[: 2 * MAX_PAIRS]:
        try:
            cases = reader.of_row(row)
        except InputError as error:
            errors.append(str(error))
            continue
        twin = next((other for other in readable if reader.of_row(other).equals(cases)), None)
        if twin is None:
            readable.append(row)
        else:
            errors.append(f"'{row.label}' has the figures of '{twin.label}' in every case: the same weights again.")
    return readable[: MAX_PAIRS + 1], errors


def read_curves(source: RunSource, rows: Sequence[Row]) -> dict[str, Curve]:
    """Read the validation Dice of the first runs that are trainings, a request each.

    Returns:
        Epoch and Dice, of at most ``MAX_SERIES`` runs, by their labels. Of a value that was sent twice, the later.
    """
    curves: dict[str, Curve] = {}
    for row in rows:
        for run in row.runs:
            if len(curves) < MAX_SERIES and run.tags.get("job") == "training" and CURVE_METRIC in run.metrics:
                steps = dict(source.history(run.id, CURVE_METRIC))
                name = row.label if not row.folds else f"{row.label}, {run.name}"
                curves[name] = sorted((float(step), value) for step, value in steps.items())
    return curves

"""All folds of a training, some at a time, and the figures over all cases that no network had seen."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pandas as pd
from monai.bundle import ConfigParser

from pipeline.data import Split
from pipeline.errors import InputError
from pipeline.files import atomic_path
from pipeline.metrics import summarize
from pipeline.metrics.case import with_all_labels
from pipeline.metrics.segmentation import IDENTITY_KEYS
from pipeline.metrics.studies import pair_studies, summarize_studies
from pipeline.reporting.agreement import write_studies
from pipeline.reporting.evaluation_page import write_evaluation_page
from pipeline.reporting.table import format_summary
from pipeline.tracking import Run, RunTracker, log_evaluation
from pipeline.tracking.run import UNSENT_NAME
from pipeline.workflows.folder_lock import require_free, sole_user
from pipeline.workflows.launch import (
    BundleTraining,
    SideBySide,
    describe_exit,
    run_training_process,
    sizes_of_rounds,
)
from pipeline.workflows.record import run_params
from pipeline.workflows.training_record import TrainingRecord

STATE_FILE = "cross_validation.json"
FOLD_FOLDER = "fold_{}"
LOG_FILE = "training.log"
"""What a fold says that is trained beside others."""
OWN_SETTINGS = ("fold", "resume", "output_dir")
"""What the cross-validation gives each of its trainings."""

_OF_ONE_FOLD = ("fold", "split.fold", "resume")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class _State:
    """What a restart needs: the MLflow run of the whole, and how often its figures were pooled."""

    run_id: str = ""
    num_poolings: int = 0

    @classmethod
    def load(cls, folder: Path) -> _State:
        path = folder / STATE_FILE
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else cls()

    def save(self, folder: Path) -> None:
        with atomic_path(folder / STATE_FILE) as partial:
            partial.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")


def cross_validate(
    training: BundleTraining,
    output_dir: Path,
    folds: Sequence[int] | None = None,
    *,
    any_code: bool = False,
    jobs: int = 1,
    tell: Tell = lambda _: None,
) -> dict[str, Any]:
    """Train fold after fold, skip those that are finished, go on with one that was interrupted, and pool the figures.

    One MLflow run has the pooled figures, and a child a fold; started again in the same folder it goes on. In
    ``output_dir`` are ``fold_0``, …, ``metrics.csv`` with the cases of all folds, ``volumes.csv`` with
    their studies where patients have both phases, and ``summary.json``.

    Args:
        training: what to train; its configuration says how many folds there are.
        output_dir: folder of the whole; each fold has its own in it.
        folds: from 0; all of the configuration's where None.
        any_code: also pool folds that other versions of the package trained.
        jobs: folds that are trained at a time, each with its share of the cores and its output in ``training.log`` of
            its folder. A last round of fewer folds shares all cores among these. The number of threads changes the
            rounding, hence the weights: the same command on the same machine gives the same ones, another ``jobs``
            others, and a fold that was interrupted goes on with the threads of its new round.
        tell: called with each line for the person who waits.

    Returns:
        The summary, as ``pipeline.metrics.summarize`` gives it, with ``folds`` and ``num_folds``.

    Raises:
        InputError: ``jobs`` is below 1, a setting that cannot be, a finished fold of other data, settings or code, or
            folds that failed: the others are trained and pooled all the same.
    """
    if jobs < 1:
        raise InputError(f"--jobs must be at least 1, got {jobs}.")
    plan = _Plan.make(training, output_dir, folds, any_code)
    with sole_user(output_dir):
        plan.check()
        state = _State.load(output_dir)
        params = {key: value for key, value in run_params(plan.parser)[0].items() if key not in _OF_ONE_FOLD}
        tags = {"folds": ", ".join(map(str, plan.folds)), "dataset_digest": plan.expected.dataset_digest}
        with plan.tracker.start("cross-validation", params=params, tags=tags, run_id=state.run_id or None) as run:
            state = _State(run.id or state.run_id, state.num_poolings + 1)
            state.save(output_dir)
            failed = _train_all(plan, run, jobs, tell)
            summary = _pool(plan, [fold for fold in plan.folds if fold not in failed], run, state.num_poolings, tell)
            if failed:
                raise InputError(
                    f"folds {failed} of {list(plan.folds)} failed, see above. The same command again goes on with "
                    "them, and skips those that are finished."
                )
    return summary


@dataclass(frozen=True)
class _Plan:
    """What is to be trained, and what each fold must agree with to be pooled."""

    training: BundleTraining
    output_dir: Path
    folds: tuple[int, ...]
    num_folds: int
    any_code: bool
    parser: ConfigParser
    split: Split
    expected: TrainingRecord
    tracker: RunTracker

    @classmethod
    def make(
        cls, training: BundleTraining, output_dir: Path, folds: Sequence[int] | None, any_code: bool = False
    ) -> _Plan:
        own = [key for key in OWN_SETTINGS if key in training.overrides]
        if own:
            raise InputError(f"a cross-validation sets --{own[0]} of its trainings itself. Choose folds by --folds.")
        parser = training.parser(output_dir=output_dir)
        num_folds = int(parser.get_parsed_content("num_folds"))
        chosen = tuple(range(num_folds)) if folds is None else tuple(folds)
        if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(range(num_folds)):
            raise InputError(f"--folds must be different numbers from 0 to {num_folds - 1}, got {list(chosen)}.")
        split = parser.get_parsed_content("split")
        tracker = parser.get_parsed_content("tracker")
        tracker.system_metrics = False  # each fold records its own
        return cls(
            training=training,
            output_dir=output_dir,
            folds=chosen,
            num_folds=num_folds,
            any_code=any_code,
            parser=parser,
            split=split,
            expected=TrainingRecord.describe(parser, split),
            tracker=tracker,
        )

    def folder(self, fold: int) -> Path:
        """Return where a fold is trained."""
        return self.output_dir / FOLD_FOLDER.format(fold)

    def check(self) -> None:
        """Find out before anything is computed whether what is there already can be gone on with and pooled."""
        self.tracker.check()
        for fold in self.folds:
            require_free(self.folder(fold))
            self.require_same_kind(fold)

    def require_same_kind(self, fold: int) -> None:
        """Refuse a fold of other data, settings or code."""
        record = TrainingRecord.load(self.folder(fold))
        differences = record.differences(self.expected, code=not self.any_code) if record else []
        if differences:
            raise InputError(
                f"{self.folder(fold)} belongs to another training: {'; '.join(differences)}. Figures of both together "
                "would be those of neither. Give another --output_dir, or remove that folder."
                + (" --any_code pools folds of different code." if any("code" in one for one in differences) else "")
            )

    def is_finished(self, fold: int) -> bool:
        """Return whether a fold need not be trained."""
        record = TrainingRecord.load(self.folder(fold))
        return record is not None and record.finished and (self.folder(fold) / "metrics.csv").is_file()

    def is_recorded(self, fold: int) -> bool:
        """Return whether the server has taken all of a finished fold; else it is sent when the fold is resumed."""
        return not (self.tracker.enabled and (self.folder(fold) / UNSENT_NAME).is_file())

    def is_done(self, fold: int) -> bool:
        """Return whether nothing of a fold is left to do."""
        return self.is_finished(fold) and self.is_recorded(fold)


def _train_all(plan: _Plan, run: Run, jobs: int, tell: Tell) -> list[int]:
    """Train the folds that are not finished; return those that are not finished now."""
    if jobs == 1:
        finished = [_train(plan, fold, run, tell) for fold in plan.folds]
    else:
        finished = _train_side_by_side(plan, run, jobs, tell)
    for fold, done in zip(plan.folds, finished, strict=True):
        record = TrainingRecord.load(plan.folder(fold)) if done else None
        if record and record.run_id:
            run.adopt(record.run_id)
    return [fold for fold, done in zip(plan.folds, finished, strict=True) if not done]


def _train_side_by_side(plan: _Plan, run: Run, jobs: int, tell: Tell) -> list[bool]:
    stop = Event()
    waiting = [fold for fold in plan.folds if not plan.is_done(fold)]
    at_a_time = dict(zip(waiting, sizes_of_rounds(len(waiting), jobs), strict=True))

    def train(fold: int) -> bool:
        if stop.is_set():
            return False
        beside = SideBySide(at_a_time.get(fold, jobs), plan.folder(fold) / LOG_FILE)
        try:
            return _train(plan, fold, run, tell, goes_on=lambda: not stop.is_set(), beside=beside)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(jobs) as pool:
        trainings = [pool.submit(train, fold) for fold in plan.folds]
        try:
            return [training.result() for training in trainings]
        except BaseException:
            stop.set()  # ends those that run
            raise


def _train(
    plan: _Plan,
    fold: int,
    run: Run,
    tell: Tell,
    goes_on: Callable[[], bool] = lambda: True,
    beside: SideBySide | None = None,
) -> bool:
    """Train one fold where it is not finished; return whether it is now."""
    if plan.is_done(fold):
        tell(f"Fold {fold}: finished before, in {plan.folder(fold)}.")
    else:
        tell(f"Fold {fold}: training in {plan.folder(fold)}{f', see {LOG_FILE} there' if beside else ''}.")
        more = {"fold": fold, "output_dir": plan.folder(fold), "resume": "auto", "run_name": f"{run.name}-fold{fold}"}
        words = plan.training.words(**(more if run.id else _without(more, "run_name")))
        status = run_training_process(words, run.id, goes_on, beside)
        if status or not plan.is_finished(fold):
            place = f"in {beside.log}" if beside else "above"
            tell(f"Fold {fold}: the training {describe_exit(status, place)}.")
            return False
    return True


def _without(mapping: Mapping[str, object], key: str) -> dict[str, object]:
    return {name: value for name, value in mapping.items() if name != key}


def _pool(plan: _Plan, folds: Sequence[int], run: Run, number: int, tell: Tell) -> dict[str, Any]:
    """Sum up the cases of all finished folds, and write and record what comes out."""
    if not folds:
        return {}
    for fold in folds:
        plan.require_same_kind(fold)
    rows = pool_rows({fold: plan.folder(fold) / "metrics.csv" for fold in folds})
    if set(folds) == set(range(plan.num_folds)):
        require_all_cases(rows, [*plan.split.train, *plan.split.val])
    studies = pair_studies(rows)
    agreement = summarize_studies(studies)
    summary = {**summarize(rows), "folds": sorted(folds), "num_folds": plan.num_folds}
    summary |= {"agreement": agreement} if agreement else {}
    files = _write(plan.output_dir, rows, summary)
    files += [write_studies(plan.output_dir / "volumes.csv", studies)] if agreement else []
    files.append(write_evaluation_page(plan.output_dir / "report.html", rows, studies, pictures={}))
    log_evaluation(run, files, summary, prefix="best_", step=number)
    run.set_tags({"pooled_folds": f"{len(folds)} of {plan.num_folds}"})
    tell(f"\n{len(rows)} cases of {len(folds)} of {plan.num_folds} folds, each by a network that had not seen it:")
    tell(format_summary(summary))
    tell(f"\nWritten to {plan.output_dir}. Compare the runs: {plan.tracker.ui_command() or 'tracking is off'}")
    return summary


def pool_rows(tables: Mapping[int, Path]) -> list[dict[str, Any]]:
    """Put the cases of all folds into one table, with the number of the fold in the column ``fold``.

    Args:
        tables: fold to its ``metrics.csv``.

    Returns:
        Rows as ``pipeline.metrics.SegmentationMetrics`` gives them, sorted by fold and ``case_id``.

    Raises:
        InputError: a case is in two folds, or a table cannot be read.
    """
    rows: list[dict[str, Any]] = []
    for fold, path in sorted(tables.items()):
        rows += [{**row, "fold": fold} for row in read_rows(path)]
    seen: dict[str, int] = {}
    for row in rows:
        if row["case_id"] in seen:
            raise InputError(
                f"case '{row['case_id']}' is in fold {seen[row['case_id']]} and in fold {row['fold']}: these are not "
                "the folds of one split. Train them with the same --num_folds on the same data."
            )
        seen[row["case_id"]] = row["fold"]
    return with_all_labels(rows)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read ``metrics.csv`` as it was written: names stay text, an empty phase stays empty.

    Raises:
        InputError: the file is damaged.
    """
    try:
        # not by pandas, which takes a group called "NA" for a missing one
        with open(path, encoding="utf-8", newline="") as file:
            rows = [{key: _value(key, text) for key, text in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error}). Evaluate that fold again.") from error
    if not rows or "case_id" not in rows[0]:
        raise InputError(f"{path} has no cases. Evaluate that fold again.")
    return rows


def _value(key: str, text: str) -> str | float:
    return text if key in IDENTITY_KEYS else float(text or "nan")


def require_all_cases(rows: Sequence[Mapping[str, Any]], cases: Sequence[Mapping[str, Any]]) -> None:
    """Compare the pooled cases with those of the data set.

    Raises:
        InputError: some are missing.
    """
    missing = sorted({str(case["case_id"]) for case in cases} - {str(row["case_id"]) for row in rows})
    if missing:
        raise InputError(f"{len(missing)} of {len(cases)} cases are in no fold's metrics.csv, such as {missing[0]}.")


def _write(folder: Path, rows: list[dict[str, Any]], summary: Mapping[str, Any]) -> list[Path]:
    table, text = folder / "metrics.csv", folder / "summary.json"
    with atomic_path(table) as partial:
        pd.DataFrame(rows).to_csv(partial, index=False, encoding="utf-8")
    with atomic_path(text) as partial:
        partial.write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return [table, text]

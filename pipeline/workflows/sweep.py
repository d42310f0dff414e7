"""A search for better settings: trainings one after the other, those that fall behind stopped early."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.errors import InputError
from pipeline.files import atomic_path
from pipeline.handlers.history import HISTORY_FILE, read_history
from pipeline.tracking import Run, RunTracker
from pipeline.workflows.folder_lock import require_free, sole_user
from pipeline.workflows.launch import BundleTraining, describe_exit, require_ids, run_training_process
from pipeline.workflows.record import run_params
from pipeline.workflows.search_space import SweepFile
from pipeline.workflows.training_record import TrainingRecord

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

METRIC = "val_mean_dice"
STORAGE_FILE = "sweep.db"
TABLE_FILE = "trials.csv"
STUDY = "sweep"
MAX_FAILURES = 3
"""Failures in a row after which a sweep ends: what is wrong is then not the values."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class _Sweep:
    """All that a trial needs."""

    training: BundleTraining
    file: SweepFile
    output_dir: Path
    study: optuna.Study
    run: Run
    tell: Tell


def sweep(
    training: BundleTraining,
    file: Path,
    output_dir: Path,
    num_trials: int | None = None,
    tell: Tell = lambda _: None,
) -> dict[str, Any]:
    """Train with values that Optuna proposes (TPE), stop early what lies below the median, and find the best.

    The figure is the best validation Dice of the fold that the configuration names, 0 where it names none. One MLflow
    run has a child a trial. Started again in the same folder the sweep goes on; the trial that was under way goes on
    from its last whole epoch. In ``output_dir`` are ``trial_000``, …, Optuna's ``sweep.db`` and ``trials.csv``.

    Args:
        training: what to train.
        file: YAML file of the sweep, see ``SweepFile``.
        output_dir: folder of the whole.
        num_trials: trainings in all, those of earlier starts among them; that of the file where None.
        tell: called with each line for the person who waits.

    Returns:
        The best trial: ``number``, ``val_mean_dice``, ``settings``, ``folder``.

    Raises:
        InputError: the file does not fit the configuration, the folder holds another sweep, or nothing but failures.
    """
    content = SweepFile.read(file)
    total = content.num_trials if num_trials is None else num_trials
    if total < 1:
        raise InputError(f"num_trials must be at least 1, got {total}.")
    parser = training.parser(**content.settings, output_dir=output_dir)
    require_ids(content.space, parser)
    tracker: RunTracker = parser.get_parsed_content("tracker")
    tracker.system_metrics = False  # each trial records its own
    with sole_user(output_dir):
        tracker.check()
        study = _open_study(output_dir, content, TrainingRecord.describe(parser, parser.get_parsed_content("split")))
        _ask_dead_trials_again(study, output_dir)
        params = {**run_params(parser)[0], **{f"sweep.{key}": str(value) for key, value in content.space.items()}}
        with tracker.start("sweep", params=params, run_id=study.user_attrs.get("run_id") or None) as run:
            study.set_user_attr("run_id", run.id)
            going = _Sweep(training, content, output_dir, study, run, tell)
            while len(_done(study)) < total:
                _run_trial(going)
                _require_success(study, output_dir)
            return _report(going, tracker)


def _open_study(folder: Path, file: SweepFile, expected: TrainingRecord) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{(folder.absolute() / STORAGE_FILE).as_posix()}")
    study = optuna.create_study(storage=storage, study_name=STUDY, direction="maximize", load_if_exists=True)
    # a sampler that starts from the same seed again would propose the same values again
    study.sampler = optuna.samplers.TPESampler(
        n_startup_trials=file.startup_trials, seed=file.seed + len(study.get_trials(deepcopy=False))
    )
    study.pruner = optuna.pruners.MedianPruner(file.startup_trials, file.warmup_epochs)
    asked = {
        "space": json.dumps(file.space, sort_keys=True),
        "settings": json.dumps(expected.settings, sort_keys=True),
        "dataset_digest": expected.dataset_digest,
    }
    for key, value in asked.items():
        if study.user_attrs.get(key, value) != value:
            raise InputError(
                f"{folder} holds a sweep with another {key}: trials of both together say nothing. Give another "
                "--output_dir, or the same settings."
            )
        study.set_user_attr(key, value)
    return study


def _ask_dead_trials_again(study: optuna.Study, output_dir: Path) -> None:
    """One process sweeps a folder: what is said to run belongs to one that is gone."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        require_free(output_dir / _folder_name(trial))
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params, user_attrs={"folder": _folder_name(trial)})


def _folder_name(trial: FrozenTrial | optuna.Trial) -> str:
    return str(trial.user_attrs.get("folder", f"trial_{trial.number:03d}"))


def _done(study: optuna.Study) -> set[str]:
    """Folders of the trials that have ended; a dead trial that is asked again has not."""
    trials = study.get_trials(deepcopy=False)
    open_ = {_folder_name(trial) for trial in trials if not trial.state.is_finished()}
    return {_folder_name(trial) for trial in trials if trial.state.is_finished()} - open_


class _Follower:
    """Hands the validations of a training on to its trial, and says whether the training shall go on."""

    def __init__(self, trial: optuna.Trial, folder: Path) -> None:
        self._trial = trial
        self._path = folder / HISTORY_FILE
        self._last_epoch = 0
        self.best: float | None = None
        self.pruned = False

    def goes_on(self) -> bool:
        """Read what is new."""
        self.catch_up()
        self.pruned = self._last_epoch > 0 and self._trial.should_prune()
        return not self.pruned

    def catch_up(self) -> None:
        """Report each validation once."""
        for line in read_history(self._path):
            if line["epoch"] > self._last_epoch:
                self._trial.report(line[METRIC], line["epoch"])
                self._last_epoch = line["epoch"]
                self.best = max(line[METRIC], line[METRIC] if self.best is None else self.best)


def _run_trial(going: _Sweep) -> None:
    trial = going.study.ask(going.file.distributions())
    again = "folder" in trial.user_attrs  # one that had died: only then is what lies in its folder its own
    folder = going.output_dir / _folder_name(trial)
    trial.set_user_attr("folder", folder.name)
    values = going.file.overrides(trial.params)
    going.tell(f"Trial {trial.number} in {folder}: {_text(going, trial.params)}")
    more = {**values, "output_dir": folder, "resume": "auto" if again else "false"}
    if going.run.id:
        more["run_name"] = f"{going.run.name}-{folder.name}"
    follower, started_s = _Follower(trial, folder), time.monotonic()
    status = run_training_process(going.training.words(**more), going.run.id, follower.goes_on)
    follower.catch_up()
    trial.set_user_attr("seconds", round(time.monotonic() - started_s, 1))
    state = _tell_study(going, trial, follower, status)
    record = TrainingRecord.load(folder)
    if record and record.run_id:
        tags = {"sweep.trial": str(trial.number), "sweep.state": state}
        going.run.adopt(record.run_id, tags, status="KILLED" if state == "pruned" else "")


def _tell_study(going: _Sweep, trial: optuna.Trial, follower: _Follower, status: int) -> str:
    """Tell Optuna, MLflow and the person what came out; return the state in a word."""
    from optuna.trial import TrialState

    if follower.pruned and status != 0:
        going.study.tell(trial, state=TrialState.PRUNED)
        going.tell(f"Trial {trial.number}: stopped early at Dice {follower.best:.4f}, below the median.")
        return "pruned"
    if status != 0 or follower.best is None:
        going.study.tell(trial, state=TrialState.FAIL)
        going.tell(f"Trial {trial.number}: the training {describe_exit(status)}.")
        return "failed"
    going.study.tell(trial, follower.best)
    best = going.study.best_trial
    figures = {METRIC: follower.best, f"best_{METRIC}": float(best.value or 0.0)}
    going.run.log_metrics(figures, step=trial.number)
    going.run.flush()
    going.tell(f"Trial {trial.number}: Dice {follower.best:.4f}. Best so far: {best.value:.4f} of trial {best.number}.")
    return "complete"


def _text(going: _Sweep, params: Mapping[str, Any]) -> str:
    chosen = going.file.overrides(params)
    return ", ".join(
        f"{key} {chosen[key]:.4g}" if isinstance(chosen[key], float) else f"{key} {chosen[key]}" for key in params
    )


def _require_success(study: optuna.Study, output_dir: Path) -> None:
    from optuna.trial import TrialState

    last = [trial.state for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()][-MAX_FAILURES:]
    if last == [TrialState.FAIL] * MAX_FAILURES:
        raise InputError(
            f"{MAX_FAILURES} trials in a row have failed, see their messages above: the sweep ends. The same command "
            f"goes on with it in {output_dir}."
        )


def _report(going: _Sweep, tracker: RunTracker) -> dict[str, Any]:
    table = _write_table(going)
    going.run.log_artifact(table)
    from optuna.trial import TrialState

    if not going.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise InputError(f"no trial has come to its end, see {table}. Give more --num_trials.")
    best = going.study.best_trial
    settings = {key: going.file.overrides(best.params)[key] for key in best.params}
    going.run.set_tags({"sweep.best_trial": best.number, **{f"sweep.best.{k}": v for k, v in settings.items()}})
    going.tell(f"\nBest of {len(_done(going.study))} trials: Dice {best.value:.4f}, trial {best.number}, with")
    going.tell("\n".join(f"  --{key} {value}" for key, value in settings.items()))
    going.tell(f"All trials: {table}. Compare the runs: {tracker.ui_command() or 'tracking is off'}")
    folder = going.output_dir / _folder_name(best)
    return {"number": best.number, METRIC: best.value, "settings": settings, "folder": str(folder)}


def _write_table(going: _Sweep) -> Path:
    rows = []
    for trial in going.study.get_trials(deepcopy=False):
        reported = trial.intermediate_values
        row = {"trial": trial.number, "state": trial.state.name.lower(), "folder": _folder_name(trial)}
        row |= {METRIC: max(reported.values(), default=None), "epochs": max(reported, default=0)}
        rows.append({**row, "seconds": trial.user_attrs.get("seconds"), **trial.params})
    path = going.output_dir / TABLE_FILE
    with atomic_path(path) as partial:
        pd.DataFrame(rows).to_csv(partial, index=False, encoding="utf-8")
    return path

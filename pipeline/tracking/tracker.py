"""The record of runs: one MLflow run from its start to FINISHED, FAILED or KILLED."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from pipeline.errors import InputError, input_error_within
from pipeline.flags import as_flag
from pipeline.tracking.interruption import Sigterm, Terminated, sigterm_raises
from pipeline.tracking.keys import hide_credentials
from pipeline.tracking.liveness import PROCESS_TAG, check_not_alive, process_mark
from pipeline.tracking.outbox import Recorded
from pipeline.tracking.provenance import PLACES, describe_environment, environment_tags
from pipeline.tracking.run import ERROR_TAG, NOTE_TAG, PARENT_TAG, MlflowRun, Run
from pipeline.tracking.store import (
    ensure_experiment,
    find_run,
    open_store,
    require_write_access,
    resolve_tracking_uri,
    ui_command,
)
from pipeline.tracking.system_metrics import PREFIX, record_system_metrics

if TYPE_CHECKING:
    import mlflow.entities
    from mlflow import MlflowClient

DEFAULT_EXPERIMENT = "cardiac_sax_segmentation"
DESCRIPTIONS = {
    "training": "One training. Figures of its validations are `val_…`, those of its best weights `best_…`.",
    "evaluating": "An evaluation of saved weights.",
    "inference": "Scans without labels, segmented.",
    "quantizing": "A network made anew in 8-bit integers; `agreement_…` is the Dice between both networks' masks.",
    "cross-validation": "A child run for each fold; `best_…` are figures over the cases of all folds.",
    "sweep": "A child run for each trial; `sweep.best…` among the tags is what was found.",
}
"""What a run of each job is, until its results are there."""
PARENT_VARIABLE = "PIPELINE_PARENT_RUN_ID"
"""Environment variable with the run that new runs are children of: set by what starts trainings."""


class RunTracker:
    """Starts runs in an MLflow experiment; nothing is opened before the first ``start`` or ``check``.

    Args:
        tracking_uri: ``http(s)://…`` or ``sqlite:///…``; where empty, ``MLFLOW_TRACKING_URI``, else ``mlruns.db`` in
            the working directory with the artifacts in ``mlruns`` beside it.
        experiment_name: experiment, created where it is new.
        run_name: name of the run; where empty, one from the job, the time and four random digits.
        output_dir: where figures go that the server has not taken by the end.
        system_metrics: record CPU, memory and GPU every 10 s.
        enabled: False records nothing and never imports MLflow.

    Raises:
        InputError: a flag that is neither true nor false, an empty ``experiment_name``, or a ``tracking_uri`` that
            cannot be one (see ``resolve_tracking_uri``).

    Example:
        >>> tracker = RunTracker(enabled=False)
        >>> with tracker.start("training", params={"max_epochs": 3}) as run:
        ...     run.log_metrics({"train_loss": 0.5}, step=1)
    """

    def __init__(
        self,
        tracking_uri: str = "",
        experiment_name: str = DEFAULT_EXPERIMENT,
        run_name: str = "",
        output_dir: str | Path = ".",
        system_metrics: bool | str = True,
        enabled: bool | str = True,
    ) -> None:
        self.enabled = as_flag("record", enabled)  # the setting that it comes from
        self.system_metrics = as_flag("system_metrics", system_metrics)
        if not experiment_name:
            raise InputError("experiment_name must not be empty.")
        self.experiment_name = str(experiment_name)
        self.run_name = str(run_name or "")
        self.output_dir = Path(output_dir)
        self.tracking_uri = resolve_tracking_uri(tracking_uri) if self.enabled else ""
        self.run: Run | None = None
        self._store: tuple[MlflowClient, str] | None = None
        self._next_sample = 0

    def check(self) -> None:
        """Open the store and the experiment now, so that trouble with them shows before anything is computed.

        Raises:
            InputError: see ``open_store``, ``ensure_experiment`` and ``require_write_access``.
        """
        if self._records():
            client, experiment_id = self._open_store()
            require_write_access(client, self.tracking_uri, experiment_id)

    @contextmanager
    def start(
        self,
        job: str = "training",
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, object] | None = None,
        run_id: str | None = None,
        with_command: bool = True,
    ) -> Iterator[Run]:
        """Record a run while the context lasts.

        It ends ``FINISHED``; ``FAILED`` with the message in the tag ``error`` where an exception leaves the context;
        ``KILLED`` on Ctrl-C and on SIGTERM, which raises ``Terminated`` meanwhile. The environment is recorded too.

        Args:
            job: such as ``"training"`` or ``"inference"``: the tag ``job``, and part of an automatic name.
            params: settings. A resumed run keeps its old values; others go to the tag ``resume.changed_params``.
            tags: more tags.
            run_id: id of a run to go on with, None or empty for a new one.
            with_command: whether the command line and the working directory are recorded, which may name patients.

        Yields:
            The run; one that records nothing where tracking is disabled or this is not the first process.

        Raises:
            RuntimeError: a run of this tracker has not ended.
            InputError: the store cannot be used, or the run to go on with is unknown, deleted or still running.
        """
        if self.run is not None:
            raise RuntimeError(f"The run '{self.run.name}' has not ended: one tracker records one run at a time.")
        with sigterm_raises() as sigterm:
            self.run = self._open_run(job, run_id) if self._records() else Run()
            try:
                self._describe(self.run, job, params or {}, tags or {}, bool(run_id), with_command)
                with self._monitored(self.run):
                    yield self.run
            except BaseException as error:
                self._end(sigterm, error)
                raise
            else:
                self._end(sigterm, None)
            finally:
                self.run = None

    def ui_command(self) -> str:
        """Return the command, or the address, that shows the runs in a browser; empty where tracking is disabled."""
        return ui_command(self.tracking_uri) if self.enabled else ""

    def _records(self) -> bool:
        return self.enabled and _is_first_process()

    def _open_store(self) -> tuple[MlflowClient, str]:
        if self._store is None:
            client = open_store(self.tracking_uri)
            self._store = client, ensure_experiment(client, self.tracking_uri, self.experiment_name)
        return self._store

    def _open_run(self, job: str, run_id: str | None) -> MlflowRun:
        client, experiment_id = self._open_store()
        try:
            return self._resume(client, run_id) if run_id else self._create(client, experiment_id, job)
        except InputError:
            raise
        except Exception as error:  # see open_store: each store raises its own kinds
            raise InputError(f"The MLflow store {hide_credentials(self.tracking_uri)} takes no run: {error}") from error

    def _describe(
        self,
        run: Run,
        job: str,
        params: Mapping[str, object],
        tags: Mapping[str, object],
        resumed: bool,
        with_command: bool,
    ) -> None:
        if not run.id:
            return
        environment = describe_environment()
        if not with_command:
            environment = {key: value for key, value in environment.items() if key not in PLACES}
        parent = os.environ.get(PARENT_VARIABLE, "")
        family = {PARENT_TAG: parent} if parent else {}
        note = {} if resumed else {NOTE_TAG: DESCRIPTIONS.get(job, job)}
        known = {"job": job, **environment_tags(environment), PROCESS_TAG: process_mark(), **family, **note}
        run.set_tags({**known, **tags})
        run.log_params(params)
        suffix = time.strftime("_%Y%m%d-%H%M%S") if resumed else ""
        run.log_dict(environment, f"environment{suffix}.json")

    def _create(self, client: MlflowClient, experiment_id: str, job: str) -> MlflowRun:
        name = self.run_name or f"{job}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        info = client.create_run(experiment_id, run_name=name).info
        self._next_sample = 0
        return MlflowRun(client, info.run_id, name, self.output_dir)

    def _resume(self, client: MlflowClient, run_id: str) -> MlflowRun:
        found = find_run(client, self.tracking_uri, run_id)
        if found.info.status == "RUNNING":
            check_not_alive(found.data.tags.get(PROCESS_TAG, ""), run_id)
        if ERROR_TAG in found.data.tags:
            client.delete_tag(run_id, ERROR_TAG)
        client.update_run(run_id, status="RUNNING")
        run = MlflowRun(client, run_id, found.info.run_name or run_id, self.output_dir, params=found.data.params)
        recorded = _latest(found)
        self._next_sample = 1 + max((item.step for key, item in recorded.items() if key.startswith(PREFIX)), default=-1)
        run.resume(recorded)
        return run

    @contextmanager
    def _monitored(self, run: Run) -> Iterator[None]:
        with ExitStack() as stack:
            if run.id and self.system_metrics:
                stack.enter_context(record_system_metrics(run, self.tracking_uri, self._next_sample))
            yield

    def _end(self, sigterm: Sigterm, error: BaseException | None) -> None:
        sigterm.ignore()
        if isinstance(self.run, MlflowRun):
            status, message = _outcome(error, killed=sigterm.received)
            self.run.close(status, message)


def _outcome(error: BaseException | None, *, killed: bool) -> tuple[str, str]:
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "FINISHED", ""
    if isinstance(error, Terminated):
        return "KILLED", str(error)
    if isinstance(error, KeyboardInterrupt):
        return "KILLED", "interrupted by the keyboard"
    # workers that got the signal too may fail first
    return "KILLED" if killed else "FAILED", _message(error)


def _message(error: BaseException) -> str:
    """What a user can act on: the InputError that MONAI has wrapped, else the exception that began it."""
    readable = input_error_within(error)
    if readable is not None:
        return readable.recorded or str(readable)
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return f"{type(cause).__name__}: {cause}"


def _latest(run: mlflow.entities.Run) -> dict[str, Recorded]:
    # the only public way to the steps that costs one request and not one a metric
    return {item.key: Recorded(item.step, item.timestamp) for item in run.data.to_proto().metrics}


def _is_first_process() -> bool:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank() == 0
    # torchrun tells it before the processes have met
    return int(os.environ.get("RANK", 0)) == 0

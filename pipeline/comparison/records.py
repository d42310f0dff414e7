"""The runs of an experiment as they are compared: figures, settings, cost."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.tracking.store import find_run

if TYPE_CHECKING:
    import mlflow.entities
    from mlflow import MlflowClient

PAGE_SIZE = 100
"""Runs in one request: of 100 metrics and 250 parameters each they cost a server about a second; 15 s are waited."""
MIN_PREFIX = 4
"""Characters from which the beginning of an id stands for the run."""
PARENT_TAG = "mlflow.parentRunId"
DIGEST_TAG = "dataset_digest"
PREFIXES = ("best_", "val_")
"""Of the figures of a run: on its best weights at the end of a training; else those of the latest validation."""
MS_PER_MINUTE = 60_000


@dataclass(frozen=True)
class RunRecord:
    """What a store tells of a run at once.

    Attributes:
        id: of the run.
        name: of the run; several may have the same.
        status: ``FINISHED``, ``RUNNING``, ``FAILED``, ``KILLED`` or ``SCHEDULED``.
        experiment_id: of the experiment that it is in.
        start_ms: when it began, in ms since 1970.
        end_ms: when it ended; None where it has not.
        artifact_uri: where its artifacts are.
        metrics: the latest value of each.
        params: settings.
        tags: tags.
    """

    id: str
    name: str
    status: str = "FINISHED"
    experiment_id: str = ""
    start_ms: int = 0
    end_ms: int | None = None
    artifact_uri: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def parent_id(self) -> str:
        """Id of the run that it is nested in; empty where it stands alone."""
        return self.tags.get(PARENT_TAG, "")

    @property
    def digest(self) -> str:
        """Digest of the data that it was trained and evaluated on; empty where it is unknown."""
        return self.tags.get(DIGEST_TAG, "")

    @property
    def minutes(self) -> float:
        """Time from start to end; NaN where it has not ended, or where the clock was set back meanwhile."""
        if self.end_ms is None or self.end_ms < self.start_ms:
            return math.nan
        return (self.end_ms - self.start_ms) / MS_PER_MINUTE

    @property
    def clock_jumped(self) -> bool:
        """Whether it ended before it began."""
        return self.end_ms is not None and self.end_ms < self.start_ms

    @property
    def figures(self) -> dict[str, float]:
        """Figures without their prefix, ``mean_dice`` and so on; empty where nothing was validated."""
        prefix = self.figures_prefix
        return {key[len(prefix) :]: value for key, value in self.metrics.items() if prefix and key.startswith(prefix)}

    @property
    def figures_prefix(self) -> str:
        """Which of ``PREFIXES`` the figures have; empty where there are none."""
        return next((prefix for prefix in PREFIXES if f"{prefix}mean_dice" in self.metrics), "")


def read_runs(client: MlflowClient, experiment_id: str) -> list[RunRecord]:
    """Return all runs of an experiment that are not in the trash, the oldest first.

    They come with their latest metrics, parameters and tags, ``PAGE_SIZE`` runs a request.
    """
    return [_record(run) for page in _pages(client, experiment_id) for run in page]


def _pages(client: MlflowClient, experiment_id: str) -> Iterator[Sequence[mlflow.entities.Run]]:
    token: str | None = None
    while True:
        # the oldest first: a run that begins meanwhile moves none to another page
        order = ["attributes.start_time ASC"]
        page = client.search_runs([experiment_id], max_results=PAGE_SIZE, order_by=order, page_token=token)
        yield page
        token = page.token
        if not token:
            return


def _record(run: mlflow.entities.Run) -> RunRecord:
    info, data = run.info, run.data
    return RunRecord(
        id=info.run_id,
        name=info.run_name or info.run_id,
        status=info.status,
        experiment_id=info.experiment_id,
        start_ms=int(info.start_time or 0),
        end_ms=None if info.end_time is None else int(info.end_time),
        artifact_uri=info.artifact_uri or "",
        metrics=data.metrics,
        params=data.params,
        tags=data.tags,
    )


def choose_runs(records: Sequence[RunRecord], wanted: Sequence[str]) -> list[RunRecord]:
    """Return the runs that are asked for, in that order.

    Args:
        records: runs to choose from.
        wanted: ids, beginnings of ids (4 characters or more) or names.

    Raises:
        InputError: nothing fits one of them, or several runs do.
    """
    chosen = [_choose(records, word) for word in wanted]
    return list({record.id: record for record in chosen}.values())


def _choose(records: Sequence[RunRecord], wanted: str) -> RunRecord:
    fitting = [record for record in records if record.id == wanted]
    fitting = fitting or [record for record in records if record.name == wanted]
    if not fitting and len(wanted) >= MIN_PREFIX:
        fitting = [record for record in records if record.id.startswith(wanted)]
    if len(fitting) > 1:
        ids = ", ".join(record.id for record in fitting)
        raise InputError(f"{len(fitting)} runs are called '{wanted}'. Give the id of one: {ids}.")
    if not fitting:
        near = difflib.get_close_matches(wanted, [record.name for record in records], n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise InputError(f"None of the {len(records)} runs has the id or name '{wanted}'.{hint}")
    return fitting[0]


def read_run(client: MlflowClient, uri: str, run_id: str) -> RunRecord:
    """Return one run by its id.

    Args:
        client: client of the store.
        uri: address of the store, for the message.
        run_id: whole id.

    Raises:
        InputError: there is no such run, or it is in the trash.
    """
    return _record(find_run(client, uri, run_id))

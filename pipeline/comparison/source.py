"""Where the runs of a comparison come from: a SQLite file read directly, else MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.comparison.records import RunRecord
from pipeline.errors import InputError
from pipeline.tracking.keys import hide_credentials

MAX_NAMES = 10
"""Names that a message lists."""

History = list[tuple[int, float]]


@dataclass(frozen=True)
class Experiment:
    """An experiment of a store.

    Attributes:
        id: of the experiment.
        name: of the experiment.
        deleted: whether it is in the trash.
    """

    id: str
    name: str
    deleted: bool = False


class RunSource(Protocol):
    """A store of runs that is only read."""

    uri: str
    """Address of the store."""

    def experiment(self, name: str) -> Experiment | None:
        """Return the experiment of this name, else of this id; None where there is none."""

    def experiment_names(self, *, with_runs: bool = False) -> list[str]:
        """Return the names of all experiments, or of those that have runs, without the trash."""

    def runs(self, experiment_id: str) -> list[RunRecord]:
        """Return all runs that are not in the trash, the oldest first."""

    def history(self, run_id: str, key: str) -> History:
        """Return step and value of a metric, in the order of their recording."""

    def text(self, record: RunRecord, path: str) -> str:
        """Return an artifact as text.

        Raises:
            Exception: of MLflow, the system or the network, by the kind of artifact store.
        """


def find_experiment(source: RunSource, name: str) -> Experiment:
    """Return an experiment by its name, else by its id.

    Raises:
        InputError: there is none, which lists those that exist, or it is in the trash.
    """
    found, where = source.experiment(name), hide_credentials(source.uri)
    if found is None:
        raise InputError(f"There is no experiment '{name}' in {where}. It has: {_listed(source.experiment_names())}.")
    if found.deleted:
        raise InputError(
            f"The experiment '{name}' is in the trash of {where}. Restore it: mlflow experiments restore "
            f"--experiment-id {found.id}, with MLFLOW_TRACKING_URI set to that address."
        )
    return found


def no_runs(source: RunSource, experiment: Experiment) -> InputError:
    """Return the error of an experiment without anything to compare; it names experiments that have runs."""
    others = [name for name in source.experiment_names(with_runs=True) if name != experiment.name]
    there = f"Runs are in: {_listed(others)}." if others else "Nor has any other experiment runs: train first."
    return InputError(
        f"The experiment '{experiment.name}' in {hide_credentials(source.uri)} has no training or evaluation yet. "
        f"{there}"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return f"{', '.join(names[:MAX_NAMES])}{more}"

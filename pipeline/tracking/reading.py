"""Stores that are only read: runs of earlier days, perhaps on a disk that takes no more."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.tracking.keys import hide_credentials
from pipeline.tracking.store import _refusal, open_store, prepare_client, resolve_tracking_uri, sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

MAX_NAMES = 10
"""Names that a message lists."""


def open_to_read(tracking_uri: str = "") -> tuple[MlflowClient, str]:
    """Connect to a store that has runs; a SQLite file is neither created nor written.

    Args:
        tracking_uri: as in ``resolve_tracking_uri``.

    Returns:
        A client of that store alone, and the store's resolved address.

    Raises:
        InputError: the file does not exist, is no MLflow store or of another MLflow, or the server does not answer.
    """
    # a bar for each small file would bury what a command prints
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    uri = resolve_tracking_uri(tracking_uri)
    file = sqlite_file(uri)
    if file is None:
        return open_store(uri), uri
    _check_tables(file)
    prepare_client()
    try:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except Exception as error:  # MLflow's, SQLAlchemy's and the driver's kinds
        raise InputError(_refusal(uri, error)) from error
    return client, uri


def _check_tables(file: Path) -> None:
    """MLflow would create a file, and tables, where a path is misspelt."""
    if not file.is_file():
        raise InputError(
            f"There is no MLflow store at {file}. Give the --tracking_uri that the runs were recorded with, or set "
            "MLFLOW_TRACKING_URI to it."
        )
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT name FROM sqlite_master WHERE name = 'experiments'").fetchall()
    except sqlite3.Error as error:
        raise InputError(f"The MLflow store {file} cannot be read ({error}). Give another --tracking_uri.") from error
    if not found:
        raise InputError(f"{file} is a database without MLflow's tables. Give the --tracking_uri of the runs.")


def find_experiment(client: MlflowClient, uri: str, experiment: str) -> Experiment:
    """Return an experiment by its name, else by its id.

    Args:
        client: client of the store.
        uri: address of the store, for the message.
        experiment: name or id.

    Raises:
        InputError: there is none, which lists those that exist, or it is in the trash.
    """
    found = client.get_experiment_by_name(experiment) or _experiment_by_id(client, experiment)
    where = hide_credentials(uri)
    if found is None:
        names = [other.name for other in client.search_experiments()]
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        raise InputError(
            f"There is no experiment '{experiment}' in {where}. It has: {', '.join(names[:MAX_NAMES])}{more}."
        )
    if found.lifecycle_stage == "deleted":
        raise InputError(
            f"The experiment '{experiment}' is in the trash of {where}. Restore it: mlflow experiments restore "
            f"--experiment-id {found.experiment_id}, with MLFLOW_TRACKING_URI set to that address."
        )
    return found


def _experiment_by_id(client: MlflowClient, experiment: str) -> Experiment | None:
    from mlflow.exceptions import MlflowException

    if not experiment.isdecimal():
        return None
    try:
        return client.get_experiment(experiment)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None

"""Stores that are only read: runs of earlier days, perhaps on a disk that takes no more."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.tracking.store import _refusal, open_store, prepare_client, resolve_tracking_uri, sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient


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
    require_store(file)
    prepare_client()
    try:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except Exception as error:  # MLflow's, SQLAlchemy's and the driver's kinds
        raise InputError(_refusal(uri, error)) from error
    return client, uri


def require_store(file: Path) -> None:
    """Find out whether a SQLite file has MLflow's tables: MLflow would create both where a path is misspelt.

    Args:
        file: the file; it is not written.

    Raises:
        InputError: it does not exist, cannot be read, or is another kind of file.
    """
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

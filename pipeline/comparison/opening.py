"""The store that a comparison reads."""

from __future__ import annotations

from pipeline.comparison.mlflow_source import MlflowSource
from pipeline.comparison.source import RunSource
from pipeline.comparison.sqlite_source import SqliteSource
from pipeline.tracking.reading import open_to_read, require_store
from pipeline.tracking.store import resolve_tracking_uri, sqlite_file


def open_source(tracking_uri: str = "") -> RunSource:
    """Open a store for reading: a SQLite file directly where its tables are known, else by MLflow.

    Args:
        tracking_uri: as in ``resolve_tracking_uri``.

    Raises:
        InputError: see ``open_to_read``.
    """
    uri = resolve_tracking_uri(tracking_uri)
    file = sqlite_file(uri)
    if file is not None:
        require_store(file)
        source = SqliteSource(uri, file)
        if source.is_known():
            return source
    client, uri = open_to_read(tracking_uri)
    return MlflowSource(client, uri)

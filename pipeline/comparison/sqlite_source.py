"""The runs of a SQLite store without MLflow, which takes seconds to import and ten times as long to read them."""

from __future__ import annotations

import math
import sqlite3
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pipeline.comparison.mlflow_source import MlflowSource
from pipeline.comparison.records import RunRecord
from pipeline.comparison.source import Experiment, History
from pipeline.tracking.reading import open_to_read

NAME_TAG = "mlflow.runName"
_RUNS = "FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'active'"
# what is read here; a store of another MLflow may have other tables
_COLUMNS = {
    "experiments": "experiment_id, name, lifecycle_stage",
    "runs": "run_uuid, name, status, start_time, end_time, artifact_uri, experiment_id, lifecycle_stage",
    "latest_metrics": "run_uuid, key, value, is_nan",
    "metrics": "run_uuid, key, value, is_nan, step, timestamp",
    "params": "run_uuid, key, value",
    "tags": "run_uuid, key, value",
}


class SqliteSource:
    """See ``RunSource``.

    Args:
        uri: resolved address of the store.
        file: the SQLite file; it is opened for reading alone.
    """

    def __init__(self, uri: str, file: Path) -> None:
        self.uri = uri
        self._file = file

    def is_known(self) -> bool:
        """Return whether the tables are those that are known here; else MLflow must be asked."""
        try:
            with self._open() as database:
                for table, columns in _COLUMNS.items():
                    database.execute(f"SELECT {columns} FROM {table} LIMIT 0")
        except sqlite3.Error:
            return False
        return True

    def experiment(self, name: str) -> Experiment | None:
        """See ``RunSource``."""
        query = "SELECT experiment_id, name, lifecycle_stage FROM experiments WHERE"
        with self._open() as database:
            row = database.execute(f"{query} name = ?", (name,)).fetchone()
            if row is None and name.isdecimal():
                row = database.execute(f"{query} experiment_id = ?", (int(name),)).fetchone()
        return None if row is None else Experiment(str(row[0]), row[1], row[2] == "deleted")

    def experiment_names(self, *, with_runs: bool = False) -> list[str]:
        """See ``RunSource``."""
        query = "SELECT name FROM experiments AS e WHERE lifecycle_stage = 'active'"
        if with_runs:
            inside = "SELECT 1 FROM runs AS r WHERE r.experiment_id = e.experiment_id AND r.lifecycle_stage = 'active'"
            query += f" AND EXISTS ({inside})"
        with self._open() as database:
            return [name for (name,) in database.execute(f"{query} ORDER BY experiment_id DESC")]

    def runs(self, experiment_id: str) -> list[RunRecord]:
        """See ``RunSource``."""
        with self._open() as database:
            return _read_runs(database, int(experiment_id))

    def history(self, run_id: str, key: str) -> History:
        """See ``RunSource``."""
        query = "SELECT step, CASE WHEN is_nan THEN NULL ELSE value END FROM metrics WHERE run_uuid = ? AND key = ?"
        with self._open() as database:
            rows = database.execute(f"{query} ORDER BY timestamp", (run_id, key))
            return [(step, math.nan if value is None else value) for step, value in rows]

    def text(self, record: RunRecord, path: str) -> str:
        """See ``RunSource``."""
        folder = local_folder(record.artifact_uri)
        if folder is not None:
            return (folder / path).read_text(encoding="utf-8")
        client, uri = open_to_read(self.uri)
        return MlflowSource(client, uri).text(record, path)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(f"{self._file.as_uri()}?mode=ro", uri=True)) as database:
            database.execute("BEGIN")  # one state of all tables, while others write
            yield database


def local_folder(artifact_uri: str) -> Path | None:
    """Return the folder that the artifacts of a run lie in; None where that is on a server."""
    parts = urllib.parse.urlsplit(artifact_uri)
    if parts.scheme == "file":
        return Path(urllib.request.url2pathname(parts.path))
    # a single letter is a drive of Windows
    return Path(artifact_uri) if artifact_uri and len(parts.scheme) < 2 else None


def _read_runs(database: sqlite3.Connection, experiment_id: int) -> list[RunRecord]:
    where = f"WHERE run_uuid IN (SELECT run_uuid {_RUNS})"

    def values(columns: str, table: str) -> dict[str, dict[str, Any]]:
        return _by_run(database.execute(f"SELECT run_uuid, key, {columns} FROM {table} {where}", (experiment_id,)))

    metrics = values("CASE WHEN is_nan THEN NULL ELSE value END", "latest_metrics")
    params, tags = values("value", "params"), values("value", "tags")
    columns = "run_uuid, name, status, start_time, end_time, artifact_uri"
    runs = database.execute(f"SELECT {columns} {_RUNS} ORDER BY start_time, run_uuid", (experiment_id,))
    return [
        RunRecord(
            id=run_id,
            name=name or tags[run_id].get(NAME_TAG) or run_id,
            status=status,
            experiment_id=str(experiment_id),
            start_ms=int(start or 0),
            end_ms=None if end is None else int(end),
            artifact_uri=artifact_uri or "",
            metrics={key: math.nan if value is None else value for key, value in metrics[run_id].items()},
            params=params[run_id],
            tags=tags[run_id],
        )
        for run_id, name, status, start, end, artifact_uri in runs
    ]


def _by_run(rows: Iterable[tuple[str, str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for run_id, key, value in rows:
        found[run_id][key] = value
    return found

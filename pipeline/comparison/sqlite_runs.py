"""The runs of a SQLite store, read at once: MLflow takes ten times as long to make objects of its tables."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.comparison.records import RunRecord

NAME_TAG = "mlflow.runName"
_RUNS = "FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'active'"


def read_sqlite_runs(file: Path, experiment_id: str) -> list[RunRecord] | None:
    """Return the same as ``read_runs``.

    Args:
        file: the SQLite file; it is opened for reading alone.
        experiment_id: id of the experiment.

    Returns:
        The runs that are not in the trash, the oldest first; None where the tables are not those that are known here,
        so that MLflow must be asked.
    """
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            database.execute("BEGIN")  # one state of all tables, while others write
            return _read(database, int(experiment_id))
    except (sqlite3.Error, ValueError):
        return None


def _read(database: sqlite3.Connection, experiment_id: int) -> list[RunRecord]:
    where = f"WHERE run_uuid IN (SELECT run_uuid {_RUNS})"

    def values(columns: str, table: str) -> dict[str, dict[str, Any]]:
        return _by_run(database.execute(f"SELECT run_uuid, key, {columns} FROM {table} {where}", (experiment_id,)))

    metrics = values("CASE WHEN is_nan THEN NULL ELSE value END", "latest_metrics")
    params, tags = values("value", "params"), values("value", "tags")
    runs = database.execute(
        f"SELECT run_uuid, name, status, start_time, end_time {_RUNS} ORDER BY start_time, run_uuid", (experiment_id,)
    )
    return [
        RunRecord(
            id=run_id,
            name=name or tags[run_id].get(NAME_TAG) or run_id,
            status=status,
            experiment_id=str(experiment_id),
            start_ms=int(start or 0),
            end_ms=None if end is None else int(end),
            metrics={key: math.nan if value is None else value for key, value in metrics[run_id].items()},
            params=params[run_id],
            tags=tags[run_id],
        )
        for run_id, name, status, start, end in runs
    ]


def _by_run(rows: Iterable[tuple[str, str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for run_id, key, value in rows:
        found[run_id][key] = value
    return found

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.comparison.records import RunRecord, read_runs
from pipeline.comparison.sqlite_runs import read_sqlite_runs


@pytest.fixture
def experiment_id(client: MlflowClient, new_run) -> str:
    """Runs of every kind: finished, going on, with NaN, in the trash; and one of another experiment."""
    first = new_run("one", 0.5, params={"seed": "1", "empty": ""}, note="a tag")
    client.log_metric(first, "val_mean_dice", math.nan)
    new_run("goes on", minutes=None)
    client.delete_run(new_run("gone"))
    client.log_metric(client.create_run("0", run_name="elsewhere").info.run_id, "x", 1.0)
    return client.get_run(first).info.experiment_id


def test_runs_are_those_that_mlflow_gives(client: MlflowClient, experiment_id: str, tmp_path: Path) -> None:
    found, expected = read_sqlite_runs(tmp_path / "mlruns.db", experiment_id), read_runs(client, experiment_id)
    assert found is not None
    assert [run.name for run in found] == ["one", "goes on"]
    # NaN does not equal itself, its text does
    assert [str(asdict(run)) for run in _ordered(found)] == [str(asdict(run)) for run in _ordered(expected)]


def _ordered(runs: list[RunRecord]) -> list[RunRecord]:
    kinds = ("metrics", "params", "tags")
    return [replace(run, **{kind: dict(sorted(getattr(run, kind).items())) for kind in kinds}) for run in runs]


def test_unknown_tables_are_left_to_mlflow(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE runs (id)")
    assert read_sqlite_runs(tmp_path / "other.db", "1") is None


def test_file_is_not_made(tmp_path: Path) -> None:
    assert read_sqlite_runs(tmp_path / "none.db", "1") is None
    assert list(tmp_path.iterdir()) == []

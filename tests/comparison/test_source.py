"""A SQLite file read directly and the same store read by MLflow: both tell the same."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.comparison.mlflow_source import MlflowSource
from pipeline.comparison.opening import open_source
from pipeline.comparison.records import RunRecord
from pipeline.comparison.source import Experiment, RunSource, find_experiment
from pipeline.comparison.sqlite_source import SqliteSource, local_folder
from pipeline.errors import InputError


@pytest.fixture(params=["sqlite", "mlflow"])
def source(request: pytest.FixtureRequest, client: MlflowClient, store: str, tmp_path: Path) -> RunSource:
    return SqliteSource(store, tmp_path / "mlruns.db") if request.param == "sqlite" else MlflowSource(client, store)


def test_experiment_is_found_by_name_or_id(source: RunSource) -> None:
    assert find_experiment(source, "hearts") == find_experiment(source, "1") == Experiment("1", "hearts")


@pytest.mark.parametrize("name", ["heart", "99"])
def test_unknown_experiment_is_refused_with_those_that_exist(source: RunSource, name: str) -> None:
    with pytest.raises(InputError, match=rf"There is no experiment '{name}' in .* It has: hearts, Default"):
        find_experiment(source, name)


def test_experiment_deleted_in_the_web_page_is_refused(source: RunSource, client: MlflowClient) -> None:
    client.delete_experiment("1")
    with pytest.raises(InputError, match=r"in the trash .* mlflow experiments restore --experiment-id 1"):
        find_experiment(source, "hearts")


def test_many_experiments_are_counted(source: RunSource, client: MlflowClient) -> None:
    for number in range(10):
        client.create_experiment(f"other {number}")
    with pytest.raises(InputError, match=r"It has: other 9, .*other 0 and 2 more\.$"):
        find_experiment(source, "heart")


def test_experiments_with_runs_are_known(source: RunSource, client: MlflowClient, new_run) -> None:
    client.delete_run(client.create_run("0").info.run_id)
    new_run("one")
    assert source.experiment_names(with_runs=True) == ["hearts"]


def test_history_of_a_metric_is_in_the_order_of_time(source: RunSource, client: MlflowClient, new_run) -> None:
    run_id = new_run("one")
    for step, value, time_ms in ((2, 0.5, 20), (1, math.nan, 10)):
        client.log_metric(run_id, "x", value, timestamp=time_ms, step=step)
    assert [step for step, _ in source.history(run_id, "x")] == [1, 2]
    assert math.isnan(source.history(run_id, "x")[0][1])


def test_artifact_is_read(source: RunSource, client: MlflowClient, new_run) -> None:
    client.log_text(new_run("one"), "text ä", "folder/file.txt")
    assert source.text(source.runs("1")[0], "folder/file.txt") == "text ä"


def test_runs_are_those_that_mlflow_gives(client: MlflowClient, store: str, new_run, tmp_path: Path) -> None:
    client.log_metric(new_run("one", 0.5, params={"seed": "1", "empty": ""}, note="a tag"), "val_mean_dice", math.nan)
    new_run("goes on", minutes=None)
    client.delete_run(new_run("gone"))
    client.log_metric(client.create_run("0", run_name="elsewhere").info.run_id, "x", 1.0)
    found, expected = SqliteSource(store, tmp_path / "mlruns.db").runs("1"), MlflowSource(client, store).runs("1")
    assert [run.name for run in found] == ["one", "goes on"]
    # NaN does not equal itself, its text does
    assert [str(asdict(run)) for run in _ordered(found)] == [str(asdict(run)) for run in _ordered(expected)]


def _ordered(runs: list[RunRecord]) -> list[RunRecord]:
    kinds = ("metrics", "params", "tags")
    return [replace(run, **{kind: dict(sorted(getattr(run, kind).items())) for kind in kinds}) for run in runs]


def test_known_file_is_read_directly(client: MlflowClient, store: str) -> None:
    assert isinstance(open_source(store), SqliteSource)


def test_unknown_tables_are_left_to_mlflow(client: MlflowClient, store: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mlruns.db")) as database:
        database.execute("ALTER TABLE tags RENAME TO labels")
    assert isinstance(open_source(store), MlflowSource)


def test_missing_store_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no MLflow store at"):
        open_source(f"sqlite:///{(tmp_path / 'none.db').as_posix()}")
    assert list(tmp_path.iterdir()) == []


def test_artifacts_on_a_server_are_left_to_mlflow(
    client: MlflowClient, store: str, tmp_path: Path, new_run, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.log_text(new_run("one"), "text", "file.txt")
    source = SqliteSource(store, tmp_path / "mlruns.db")
    monkeypatch.setattr("pipeline.comparison.sqlite_source.local_folder", lambda uri: None)
    assert source.text(source.runs("1")[0], "file.txt") == "text"


@pytest.mark.parametrize("uri", ["s3://bucket/1/artifacts", "mlflow-artifacts:/1/artifacts", ""])
def test_address_on_a_server_is_no_folder(uri: str) -> None:
    assert local_folder(uri) is None


@pytest.mark.parametrize("uri", ["file:///data/my%20runs/1", "/data/my runs/1"])
def test_local_address_is_a_folder(uri: str) -> None:
    assert local_folder(uri) == Path("/data/my runs/1")

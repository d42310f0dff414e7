from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.errors import InputError
from pipeline.tracking.reading import open_to_read


def test_store_is_opened_without_writing(store: str, client: MlflowClient, tmp_path: Path) -> None:
    client.create_experiment("hearts")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    reader, uri = open_to_read(store)
    assert reader.get_experiment_by_name("hearts") is not None
    assert uri == store
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_store_that_cannot_be_written_is_read(store: str, client: MlflowClient, tmp_path: Path) -> None:
    client.create_experiment("hearts")
    (tmp_path / "mlruns.db").chmod(0o444)
    tmp_path.chmod(0o555)
    # root may write all the same: SQLite is told not to
    try:
        reader, _ = open_to_read(store)
        assert reader.get_experiment_by_name("hearts") is not None
    finally:
        tmp_path.chmod(0o755)


def test_missing_store_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no MLflow store at .*none.db"):
        open_to_read(f"sqlite:///{(tmp_path / 'none.db').as_posix()}")
    assert list(tmp_path.iterdir()) == []


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mlruns.db"
    file.write_text("no database" * 100, encoding="utf-8")
    with pytest.raises(InputError, match=r"cannot be read .*not a database"):
        open_to_read(f"sqlite:///{file.as_posix()}")


def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE t (x)")
    with pytest.raises(InputError, match="without MLflow's tables"):
        open_to_read(f"sqlite:///{file.as_posix()}")


def test_store_of_another_mlflow_is_refused(store: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mlruns.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0123456789ab'")
    # MLflow remembers the stores of a process
    code = f"from pipeline.tracking.reading import open_to_read; open_to_read({store!r})"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert "refuses: " in done.stderr and "InputError" in done.stderr

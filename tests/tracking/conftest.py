"""Real SQLite stores: one is made, which takes seconds, and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.tracking import RunTracker
from pipeline.tracking.store import open_store, resolve_tracking_uri


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("store") / "mlruns.db"
    open_store(resolve_tracking_uri(f"sqlite:///{file.as_posix()}"))
    return file


@pytest.fixture
def store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a store without runs, in the test's own folder, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    file = Path(shutil.copy(empty_store, tmp_path / "mlruns.db"))
    return f"sqlite:///{file.as_posix()}"


@pytest.fixture
def client(store: str) -> MlflowClient:
    return MlflowClient(tracking_uri=store)


@pytest.fixture
def new_tracker(store: str, tmp_path: Path) -> Callable[..., RunTracker]:
    """Make trackers of the store without system metrics."""

    def make(**settings: object) -> RunTracker:
        defaults = {"tracking_uri": store, "output_dir": tmp_path / "out", "system_metrics": False}
        return RunTracker(**{**defaults, **settings})

    return make


@pytest.fixture
def tracker(new_tracker: Callable[..., RunTracker]) -> RunTracker:
    return new_tracker()

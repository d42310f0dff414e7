"""Runs as a training leaves them, in a real SQLite store: made once, which takes seconds, and copied for each test."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from pipeline.tracking.store import artifact_location, open_store, resolve_tracking_uri

DIGEST = "d" * 64
EXPERIMENT = "hearts"
START_MS = 1_700_000_000_000
MINUTE_MS = 60_000

NewRun = Callable[..., str]


def cases_csv(dice: Mapping[str, Sequence[float]]) -> str:
    """Return the table of cases: the Dice of RV, MYO and LV of each; ED and ES of a patient share the name's stem."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        ["case_id", "patient_id", "phase", "group", "mean_dice", "dice_rv", "dice_myo", "dice_lv", "missed_rv"]
    )
    for case, (rv, myo, lv) in dice.items():
        writer.writerow(
            [case, case.partition("_")[0], case.partition("_")[2], "", (rv + myo + lv) / 3, rv, myo, lv, 0.0]
        )
    return text.getvalue()


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
    return f"sqlite:///{Path(shutil.copy(empty_store, tmp_path / 'mlruns.db')).as_posix()}"


@pytest.fixture
def client(store: str) -> MlflowClient:
    client = MlflowClient(tracking_uri=store)
    client.create_experiment(EXPERIMENT, artifact_location=artifact_location(store))
    return client


@pytest.fixture
def new_run(client: MlflowClient) -> NewRun:
    """Record a run; by default a finished training of an hour, without cases."""
    number = iter(range(1000))

    def make(
        name: str,
        dice: float | None = None,
        cases: Mapping[str, Sequence[float]] | None = None,
        *,
        prefix: str = "best_",
        minutes: float | None = 60,
        status: str = "FINISHED",
        params: Mapping[str, str] | None = None,
        **tags: str,
    ) -> str:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        start_ms = START_MS + next(number) * MINUTE_MS
        run_id = client.create_run(experiment.experiment_id, start_time=start_ms, run_name=name).info.run_id
        all_tags = {"job": "training", "dataset_digest": DIGEST, "device": "cpu"} | tags
        metrics = {} if dice is None else {f"{prefix}mean_dice": dice, f"{prefix}dice_lv": dice}
        client.log_batch(
            run_id,
            [Metric(key, value, start_ms, 1) for key, value in metrics.items()],
            [Param(key, value) for key, value in (params or {}).items()],
            [RunTag(key, value) for key, value in all_tags.items()],
        )
        if cases is not None:
            client.log_text(run_id, cases_csv(cases), "evaluation/metrics.csv")
        if minutes is not None:
            client.set_terminated(run_id, status, end_time=start_ms + int(minutes * MINUTE_MS))
        return run_id

    return make

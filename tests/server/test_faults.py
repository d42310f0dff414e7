"""What becomes of a run while its server is killed, full, or told to forget it; the run itself goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from pipeline.errors import InputError
from pipeline.tracking import RunTracker

pytestmark = pytest.mark.server

NewTracker = Callable[..., RunTracker]


def history(client: MlflowClient, run_id: str, key: str) -> list[tuple[int, float]]:
    return [(item.step, item.value) for item in client.get_metric_history(run_id, key)]


def crash(tracker: RunTracker, report: Callable[[Any], None]) -> str:
    """Record as a process does that is killed: nothing is closed."""
    context = tracker.start("training", params={"max_epochs": 3})
    run = context.__enter__()
    report(run)
    tracker.run = None
    return run.id


def test_server_that_is_killed_and_started_again_has_everything(
    running: Any, new_tracker: NewTracker, client: MlflowClient, tmp_path: Path
) -> None:
    (tmp_path / "model.pt").write_bytes(b"weights")
    with new_tracker().start("training", params={"seed": 0}) as run:
        run.log_metrics({"val_mean_dice": 0.1}, step=1)
        run.flush()
        running.kill()
        run.log_metrics({"val_mean_dice": 0.2}, step=2)
        run.flush()
        run.log_artifact(tmp_path / "model.pt", "models")
        running.start()
        run.log_metrics({"val_mean_dice": 0.3}, step=3)
    assert history(client, run.id, "val_mean_dice") == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert [file.path for file in client.list_artifacts(run.id, "models")] == ["models/model.pt"]
    assert client.get_run(run.id).info.status == "FINISHED"
    assert not (tmp_path / "out" / "unsent_metrics.json").exists()


def test_run_killed_while_its_server_was_away_goes_on_complete(
    running: Any, new_tracker: NewTracker, client: MlflowClient
) -> None:
    def report(run: Any) -> None:
        run.log_metrics({"train_loss": 1.0}, step=1)
        run.flush()
        running.kill()
        run.log_metrics({"train_loss": 0.5}, step=2)
        run.flush()

    run_id = crash(new_tracker(), report)
    running.start()
    with new_tracker().start("training", params={"max_epochs": 3}, run_id=run_id) as run:
        for step, loss in ((2, 0.5), (3, 0.25)):
            run.log_metrics({"train_loss": loss}, step)
    assert history(client, run_id, "train_loss") == [(1, 1.0), (2, 0.5), (3, 0.25)]


def test_epoch_trained_again_after_a_crash_has_no_double_steps(new_tracker: NewTracker, client: MlflowClient) -> None:
    def report(run: Any) -> None:
        for step in (1, 2):
            run.log_metrics({"train_loss": 1.0 / step}, step)
        run.flush()

    run_id = crash(new_tracker(), report)
    with new_tracker().start("training", params={"max_epochs": 5}, run_id=run_id) as run:
        for step in (2, 3):
            run.log_metrics({"train_loss": 1.0 / step}, step)
    assert [step for step, _ in history(client, run_id, "train_loss")] == [1, 2, 3]
    assert client.get_run(run_id).data.params == {"max_epochs": "3"}


def test_experiment_deleted_in_the_browser_does_not_end_the_run(
    new_tracker: NewTracker, client: MlflowClient, experiment: str, tmp_path: Path
) -> None:
    with new_tracker().start("training") as run:
        client.delete_experiment(client.get_experiment_by_name(experiment).experiment_id)
        run.log_metrics({"train_loss": 0.5}, step=1)
        run.flush()
    unsent = json.loads((tmp_path / "out" / "unsent_metrics.json").read_text(encoding="utf-8"))
    assert [(item["key"], item["step"]) for item in unsent["metrics"]] == [("train_loss", 1)]


def test_run_of_a_restored_experiment_has_everything(
    new_tracker: NewTracker, client: MlflowClient, experiment: str
) -> None:
    with new_tracker().start("training") as run:
        id_ = client.get_experiment_by_name(experiment).experiment_id
        client.delete_experiment(id_)
        run.log_metrics({"train_loss": 0.5}, step=1)
        run.flush()
        client.restore_experiment(id_)
    assert history(client, run.id, "train_loss") == [(1, 0.5)]
    assert client.get_run(run.id).info.status == "FINISHED"


def test_deleted_experiment_is_refused_at_the_start(
    new_tracker: NewTracker, client: MlflowClient, experiment: str
) -> None:
    client.delete_experiment(client.create_experiment(experiment))
    with pytest.raises(InputError, match=r"in the trash of http.*experiments restore"):
        new_tracker().check()


def test_two_runs_of_one_name_stay_apart(new_tracker: NewTracker, client: MlflowClient, tmp_path: Path) -> None:
    trackers = [new_tracker(run_name="baseline", output_dir=tmp_path / name) for name in "ab"]
    with trackers[0].start() as one, trackers[1].start() as two:
        for run, value in ((one, 1.0), (two, 2.0)):
            run.log_metrics({"train_loss": value}, step=1)
            run.flush()
    assert [history(client, run.id, "train_loss") for run in (one, two)] == [[(1, 1.0)], [(1, 2.0)]]


def test_clock_that_is_set_back_keeps_the_order(
    new_tracker: NewTracker, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    with new_tracker().start() as run:
        for step, offset_s in enumerate((0, 60, -3600, 90)):
            monkeypatch.setattr(time, "time", lambda at=now + offset_s: at)
            run.log_metrics({"train_loss": 1.0}, step)
    times = [item.timestamp for item in client.get_metric_history(run.id, "train_loss")]
    assert times == sorted(times)
    info = client.get_run(run.id).info
    assert info.end_time >= info.start_time


def test_values_that_are_no_numbers_come_back_as_nan(new_tracker: NewTracker, client: MlflowClient) -> None:
    with new_tracker().start() as run:
        run.log_metrics({"hd95_mm": float("nan"), "train_loss": float("inf")}, step=1)
    assert all(value != value for value in client.get_run(run.id).data.metrics.values())


def test_error_with_a_nul_character_is_recorded(new_tracker: NewTracker, client: MlflowClient) -> None:
    with pytest.raises(ValueError, match="bad"), new_tracker().start() as run:
        raise ValueError("bad \x00 byte")
    assert client.get_run(run.id).data.tags["error"] == "ValueError: bad  byte"


def test_system_metrics_go_on_after_an_outage(
    running: Any, new_tracker: NewTracker, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.tracking.system_metrics.SAMPLING_INTERVAL_S", 0.2)
    with new_tracker(system_metrics=True).start() as run:
        running.kill()
        time.sleep(0.5)
        run.flush()
        running.start()
    steps = [step for step, _ in history(client, run.id, "system/system_memory_usage_megabytes")]
    assert len(steps) >= 3
    assert steps == list(range(len(steps)))

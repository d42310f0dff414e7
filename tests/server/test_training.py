"""Real trainings, as processes of their own, against a real server that goes away and comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

pytestmark = pytest.mark.server

TRAINING = ["-m", "monai.bundle", "run", "training"]
EPOCH_LENGTH = 20  # of about 40 slices in batches of 2

Start = Callable[..., Any]


@pytest.fixture
def wait_at(tmp_path: Path) -> Callable[[int, str], dict[str, object]]:
    """A handler that waits at an iteration until it is told to go on."""
    return lambda iteration, name: {
        "_target_": "disturb.WaitAt",
        "iteration": iteration,
        "path": str(tmp_path / name),
    }


def go_on(path: Path) -> None:
    path.with_suffix(".go").touch()


def only_run(client: MlflowClient, experiment: str) -> Run:
    (run,) = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return run


def steps(client: MlflowClient, run: Run, key: str) -> list[int]:
    return [item.step for item in client.get_metric_history(run.info.run_id, key)]


def test_training_outlives_its_server_and_loses_nothing(
    start: Start, wait_at: Any, running: Any, client: MlflowClient, experiment: str, tmp_path: Path
) -> None:
    waits = wait_at(EPOCH_LENGTH // 2, "away"), wait_at(2 * EPOCH_LENGTH + 2, "back")
    job = start(TRAINING, *waits, max_epochs=3)
    job.reach(tmp_path / "away")
    running.kill()
    go_on(tmp_path / "away")
    job.reach(tmp_path / "back")
    running.start()
    go_on(tmp_path / "back")
    assert job.end() == 0, job.text()
    run = only_run(client, experiment)
    assert steps(client, run, "train_loss") == list(range(1, 3 * EPOCH_LENGTH + 1))
    assert steps(client, run, "val_mean_dice") == [1, 2, 3]
    assert (run.info.status, "best_mean_dice" in run.data.metrics) == ("FINISHED", True)
    assert [file.path for file in client.list_artifacts(run.info.run_id, "models")] == ["models/model.pt"]


def test_training_killed_with_its_server_goes_on_in_its_run(
    start: Start, wait_at: Any, running: Any, client: MlflowClient, experiment: str, tmp_path: Path
) -> None:
    job = start(TRAINING, wait_at(EPOCH_LENGTH // 2, "away"), wait_at(EPOCH_LENGTH + 5, "dead"))
    job.reach(tmp_path / "away")
    running.kill()
    go_on(tmp_path / "away")
    job.reach(tmp_path / "dead")
    job.kill()
    running.start()
    again = start(TRAINING, resume="auto")
    assert again.end() == 0, again.text()
    run = only_run(client, experiment)
    assert steps(client, run, "train_loss") == list(range(1, 2 * EPOCH_LENGTH + 1))
    assert steps(client, run, "val_mean_dice") == [1, 2]
    assert run.info.status == "FINISHED"


def test_training_killed_in_its_first_epoch_goes_on_in_its_run(
    start: Start, wait_at: Any, client: MlflowClient, experiment: str, tmp_path: Path
) -> None:
    job = start(TRAINING, wait_at(5, "dead"), max_epochs=1)
    job.reach(tmp_path / "dead")
    job.kill()
    again = start(TRAINING, resume="auto", max_epochs=1)
    assert again.end() == 0, again.text()
    assert steps(client, only_run(client, experiment), "train_loss") == list(range(1, EPOCH_LENGTH + 1))


def test_second_training_in_a_folder_is_refused(start: Start, wait_at: Any, tmp_path: Path) -> None:
    start(TRAINING, wait_at(5, "first"), max_epochs=1).reach(tmp_path / "first")
    second = start(TRAINING, max_epochs=1)
    assert second.end() == 1
    assert "is in use by another process" in second.text()


def runs_by_parent(client: MlflowClient, experiment: str) -> tuple[Run, list[Run]]:
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return parent, [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]


def test_cross_validation_that_was_ended_goes_on_in_its_runs(
    start: Start, wait_at: Any, client: MlflowClient, experiment: str, tmp_path: Path
) -> None:
    command = ["-m", "pipeline", "cross-validate"]
    job = start(command, wait_at(5, "dead"), folds="0,1", max_epochs=1)
    job.reach(tmp_path / "dead")
    job.process.terminate()
    assert job.end() == 143, job.text()
    first, children = runs_by_parent(client, experiment)
    assert [run.info.status for run in (first, *children)] == ["KILLED", "KILLED"]
    go_on(tmp_path / "dead")
    again = start(command, wait_at(5, "dead"), folds="0,1", max_epochs=1)
    assert again.end() == 0, again.text()
    parent, children = runs_by_parent(client, experiment)
    assert parent.info.run_id == first.info.run_id
    assert sorted(run.data.params["fold"] for run in children) == ["0", "1"]
    assert {run.info.status for run in (parent, *children)} == {"FINISHED"}
    assert parent.data.tags["pooled_folds"] == "2 of 5"
    assert parent.data.metrics["best_mean_dice"] > 0
    assert [file.path for file in client.list_artifacts(parent.info.run_id, "evaluation")]


def test_sweep_is_a_parent_with_a_child_a_trial(
    start: Start, client: MlflowClient, experiment: str, tmp_path: Path
) -> None:
    space = {"learning_rate": {"type": "float", "low": 0.005, "high": 0.05, "log": True}}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({"space": space, "num_trials": 2}), encoding="utf-8")
    job = start(["-m", "pipeline", "sweep", str(tmp_path / "sweep.yaml")], max_epochs=1)
    assert job.end() == 0, job.text()
    parent, children = runs_by_parent(client, experiment)
    assert {run.data.tags["sweep.state"] for run in children} == {"complete"}
    assert len({run.data.params["learning_rate"] for run in children}) == len(children) == 2
    best = max(run.data.metrics["val_mean_dice"] for run in children)
    assert parent.data.metrics["best_val_mean_dice"] == pytest.approx(best)

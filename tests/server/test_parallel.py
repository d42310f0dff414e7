"""Trainings side by side against one server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

pytestmark = pytest.mark.server

NUM_PROCESSES = 8
NUM_EPOCHS = 5
PER_EPOCH = 40
HERE = Path(__file__).resolve().parent


def test_eight_at_once_lose_nothing(running: Any, client: MlflowClient, experiment: str, tmp_path: Path) -> None:
    words = [sys.executable, str(HERE / "record_run.py"), running.uri, experiment, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    started = [subprocess.Popen([*words, str(number)], env=env) for number in range(NUM_PROCESSES)]
    assert [process.wait(300) for process in started] == [0] * NUM_PROCESSES
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    assert sorted(run.data.params["number"] for run in runs) == [str(number) for number in range(NUM_PROCESSES)]
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        steps = [item.step for item in client.get_metric_history(run.info.run_id, "train_loss")]
        assert sorted(steps) == list(range(NUM_EPOCHS * PER_EPOCH))
        assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"environment.json", "notes.txt"}

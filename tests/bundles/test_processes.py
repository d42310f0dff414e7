"""A training by two processes, with ``multi_gpu_train.yaml`` on CPUs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from mlflow import MlflowClient
from mlflow.entities import Run


def test_two_processes_train_to_the_end(two_processes: Any) -> None:
    assert two_processes.returncode == 0, two_processes.stderr
    assert "destroy_process_group() was not called" not in two_processes.stderr


def test_only_the_first_process_logs(two_processes: Any) -> None:
    assert two_processes.stdout.count("Epoch 1/1: loss") == 1
    assert two_processes.stdout.count("Written to") == 1


def test_the_processes_share_one_run(two_processes: Any, at_root: Any, find_runs: Callable[[Path], list[Run]]) -> None:
    (run,) = find_runs(at_root.scratch / "two")
    assert run.info.status == "FINISHED"
    assert "best_mean_dice" in run.data.metrics


def test_the_processes_share_the_slices(
    two_processes: Any, at_root: Any, find_runs: Callable[[Path], list[Run]], tracking_uri: str
) -> None:
    (run,) = find_runs(at_root.scratch / "two")
    iterations = MlflowClient(tracking_uri).get_metric_history(run.info.run_id, "train_loss")
    assert len(iterations) == 10  # of 20 that one process makes of 40 slices in batches of 2


def test_each_case_is_validated_once(two_processes: Any, at_root: Any) -> None:
    rows = pd.read_csv(at_root.scratch / "two" / "metrics.csv")
    assert list(rows["case_id"]) == ["patient002_ed", "patient002_es"]


def test_weights_have_the_keys_of_a_training_by_one_process(two_processes: Any, at_root: Any, root_use: Any) -> None:
    mine, others = (
        torch.load(folder / "models" / "model.pt", weights_only=True)
        for folder in (at_root.scratch / "two", root_use.trained_dir)
    )
    assert mine.keys() == others.keys()

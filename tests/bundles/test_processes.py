"""A training and an inference by two processes each, with ``multi_gpu_train`` and ``multi_gpu_inference``, on CPUs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
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


# --- inference --------------------------------------------------------------------------------------------------------

THREE = ["patient001_frame01", "patient002_frame01", "patient003_frame01"]


@pytest.fixture
def segmented_dir(segmented_by_two: Any, at_root: Any) -> Path:
    """What two processes left of three scans."""
    assert segmented_by_two.returncode == 0, segmented_by_two.stderr
    return at_root.scratch / "three_segmented"


def test_two_processes_segment_to_the_end(segmented_by_two: Any) -> None:
    assert segmented_by_two.returncode == 0, segmented_by_two.stderr
    assert "destroy_process_group() was not called" not in segmented_by_two.stderr
    assert segmented_by_two.stdout.count("Segmented 3 scans") == 1


@pytest.mark.parametrize("name", THREE)
def test_each_scan_has_its_mask(segmented_dir: Path, at_root: Any, name: str) -> None:
    scan, mask = (nib.load(folder / f"{name}.nii.gz") for folder in (at_root.scratch / "three", segmented_dir))
    assert mask.shape == scan.shape
    assert np.unique(mask.dataobj).tolist() == [0, 1, 2, 3]


def test_the_processes_share_one_listing(segmented_dir: Path) -> None:
    (listing,) = segmented_dir.rglob("studies.csv")
    assert list(pd.read_csv(listing)["case_id"]) == THREE


def test_the_processes_share_one_run_of_inference(segmented_dir: Path, find_runs: Callable[[Path], list[Run]]) -> None:
    (run,) = find_runs(segmented_dir)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["num_scans"] == 3

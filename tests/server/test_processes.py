"""Two processes by ``torchrun`` on CPUs, beside one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

pytestmark = pytest.mark.server

ONE = ["-m", "monai.bundle", "run"]
TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", *ONE]
SAME_WEIGHTS_TOLERANCE = 1e-9
"""Of every figure: the cases are the same, only who measures them differs."""
TRAINING_TOLERANCE = 0.05
"""Of the mean Dice, 0.764 and 0.750 here: loss and batch statistics of two halves of a batch are not the whole's."""

Start = Callable[..., Any]


def figures(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "metrics.csv").set_index("case_id").select_dtypes("number")


def test_two_processes_find_what_one_finds(start: Start, client: MlflowClient, experiment: str, tmp_path: Path) -> None:
    names = ("one", "two", "one_evaluated", "two_evaluated")
    one, two, one_evaluated, two_evaluated = (tmp_path / name for name in names)
    epochs = {"max_epochs": 30, "val_interval": 30}
    jobs = [start([*ONE, "training"], batch_size=4, output_dir=one, **epochs)]
    jobs += [start([*TWO, "training"], overlays=("multi_gpu_train",), batch_size=2, output_dir=two, **epochs)]
    assert [job.end() for job in jobs] == [0, 0], jobs[1].text()
    dice = [figures(folder)["mean_dice"].mean() for folder in (one, two)]
    assert dice[1] == pytest.approx(dice[0], abs=TRAINING_TOLERANCE)
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    assert len(runs) == 2

    weights = {"ckpt_path": one / "models" / "model.pt"}
    jobs = [start([*ONE, "evaluating"], overlays=("evaluate",), output_dir=one_evaluated, **weights)]
    overlays = ("multi_gpu_train", "evaluate")
    jobs += [start([*TWO, "evaluating"], overlays=overlays, output_dir=two_evaluated, **weights)]
    assert [job.end() for job in jobs] == [0, 0], jobs[1].text()
    alone, shared = figures(one_evaluated), figures(two_evaluated)
    assert list(alone.index) == list(shared.index)
    np.testing.assert_allclose(shared, alone, rtol=0, atol=SAME_WEIGHTS_TOLERANCE)


@pytest.mark.parametrize("rank", [0, 1])
def test_rank_that_dies_ends_all_with_a_clear_error(
    start: Start, client: MlflowClient, experiment: str, rank: int
) -> None:
    die = {"_target_": "disturb.DieAt", "iteration": 5, "rank": rank}
    begin = time.monotonic()
    job = start([*TWO, "training"], die, overlays=("multi_gpu_train",))
    assert job.end() != 0
    assert time.monotonic() - begin < 120  # the start of both among them, on a busy machine
    assert f"rank      : {rank}" in job.text()
    assert "Signal 9 (SIGKILL)" in job.text()
    (run,) = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    if rank == 1:
        assert "has lost another process of this training" in job.text()
        assert run.info.status in ("FAILED", "KILLED")

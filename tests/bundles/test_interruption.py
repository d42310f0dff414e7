"""Trainings that end in the middle of an epoch: what MLflow says of them, and what is left to go on from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mlflow.entities import Run

from pipeline.errors import input_error_within

pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")

HERE = Path(__file__).parent
EPOCH_LENGTH = 5  # of about 40 slices in batches of 8


@pytest.fixture
def disturbed(
    run_bundle: Callable[..., None], tracking_uri: str, tmp_path: Path, find_runs: Callable[[Path], list[Run]]
) -> Callable[..., Run]:
    """Train with a handler of ``disturb.py`` in the second epoch, and return the run."""

    def run(expected: type[BaseException], handler_name: str, **arguments: Any) -> Run:
        handler = {"_target_": f"disturb.{handler_name}", "iteration": EPOCH_LENGTH + 2, **arguments}
        overlay = tmp_path / "disturb.yaml"
        overlay.write_text(yaml.safe_dump({"+train#handlers": [handler]}), encoding="utf-8")
        files = ("train", "acdc.yaml", HERE / "tiny.yaml", overlay)
        with pytest.raises(expected):
            run_bundle("training", *files, batch_size=8, record=True, tracking_uri=tracking_uri)
        (found,) = find_runs(tmp_path / "out")
        return found

    return run


@pytest.mark.usefixtures("keyboard")
@pytest.mark.parametrize(
    ("signal_name", "expected", "error"),
    [
        ("SIGINT", KeyboardInterrupt, "interrupted by the keyboard"),
        ("SIGTERM", SystemExit, "interrupted by SIGTERM"),
    ],
)
def test_interrupted_training_is_killed_and_keeps_its_last_whole_epoch(
    disturbed: Callable[..., Run], tmp_path: Path, signal_name: str, expected: type[BaseException], error: str
) -> None:
    run = disturbed(expected, "SignalAt", name=signal_name)
    assert run.info.status == "KILLED"
    assert run.data.tags["error"] == error
    state = torch.load(tmp_path / "out" / "models" / "last.pt", weights_only=True)
    assert (state["epoch"], state["epoch_length"], state["run_id"]) == (1, EPOCH_LENGTH, run.info.run_id)


def test_training_that_raises_is_failed(disturbed: Callable[..., Run]) -> None:
    run = disturbed(RuntimeError, "DisturbAt")
    assert run.info.status == "FAILED"
    assert run.data.tags["error"] == "RuntimeError: disturbed"
    assert run.data.metrics["val_mean_dice"] >= 0  # of the first epoch


@pytest.mark.parametrize(
    ("what", "message"), [("loss", "the loss is nan"), ("gradient", "the norm of the gradient is")]
)
def test_nan_in_the_last_iteration_of_an_epoch_keeps_the_last_good_one(
    run_bundle: Callable[..., None], tmp_path: Path, what: str, message: str
) -> None:
    overlay, last = tmp_path / "breaks.yaml", 2 * EPOCH_LENGTH
    breaks = {"loss#_target_": "disturb.BreaksAt", "loss#iteration": last, "loss#what": what}
    overlay.write_text(yaml.safe_dump(breaks), encoding="utf-8")
    with pytest.raises(RuntimeError) as caught:
        run_bundle("training", "train", "acdc.yaml", HERE / "tiny.yaml", overlay, batch_size=8)
    error = str(input_error_within(caught.value))
    assert re.match(rf"{message}.* in epoch 2, iteration {last}: .* images, of patient00\d_e[ds], patient00\d", error)
    state = torch.load(tmp_path / "out" / "models" / "last.pt", weights_only=True)
    best = torch.load(tmp_path / "out" / "models" / "model.pt", weights_only=True)
    assert state["epoch"] == state["best_metric_epoch"] == 1
    assert all(torch.isfinite(value).all() for value in (*best.values(), *state["objects"]["network"].values()))

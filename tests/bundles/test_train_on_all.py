"""A training on all cases: weights to give away, when cross-validation has told how good they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mlflow.entities import Run

from pipeline.errors import InputError


def test_training_on_all_ends_with_the_last_weights_and_no_figure(
    run_bundle: Callable[..., None],
    find_runs: Callable[[Path], list[Run]],
    tracking_uri: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO"):
        run_bundle(fold="all", record=True, tracking_uri=tracking_uri)
    out = tmp_path / "out"
    split = json.loads((out / "split.json").read_text(encoding="utf-8"))
    assert (len(split["train"]), split["val"], split["validated"]) == (10, [], False)
    assert "Trained on all 10 cases: there is no validation, and no figure." in caplog.text

    weights, last = (torch.load(out / "models" / name, weights_only=True) for name in ("model.pt", "last.pt"))
    assert last["epoch"] == 2
    torch.testing.assert_close(weights, last["objects"]["ema"]["model"], rtol=0, atol=0)

    (run,) = find_runs(out)
    assert run.info.status == "FINISHED"
    assert run.data.tags["num_val_cases"] == "0"
    assert [name for name in run.data.metrics if "dice" in name] == []
    assert not (out / "summary.json").exists()
    assert (out / "validation.jsonl").read_text(encoding="utf-8") == ""


def test_evaluation_of_all_is_refused(run_bundle: Callable[..., None], tmp_path: Path) -> None:
    run_bundle(fold="all", max_epochs=1)
    with pytest.raises(RuntimeError) as error:  # MONAI's, around ours
        run_bundle("evaluating", "train", "evaluate", "acdc.yaml", Path(__file__).parent / "tiny.yaml", fold="all")
    assert isinstance(error.value.__cause__, InputError)
    assert "all 10 cases are trained on with --fold all: there is none to evaluate" in str(error.value.__cause__)

"""A training that was killed in the middle of an epoch, and went on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from mlflow.entities import Run


def checkpoint(use: Any, name: str) -> Any:
    return torch.load(use.trained_dir / "models" / name, weights_only=True)


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all that is in nested dictionaries and lists, with the way there."""
    if not isinstance(value, dict | list):
        yield name, value
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield from leaves(item, f"{name}.{key}")


def equal(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_resumed_training_goes_on_from_the_last_whole_epoch(elsewhere_use: Any) -> None:
    assert "Going on after epoch 1 of 2." in elsewhere_use.training.stdout
    assert "Epoch 1/2: loss" not in elsewhere_use.training.stdout


def test_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(root_use: Any, elsewhere_use: Any) -> None:
    torch.testing.assert_close(checkpoint(elsewhere_use, "model.pt"), checkpoint(root_use, "model.pt"), rtol=0, atol=0)


def test_resumed_training_ends_in_the_state_of_an_uninterrupted_one(root_use: Any, elsewhere_use: Any) -> None:
    resumed, whole = (dict(leaves(checkpoint(use, "last.pt"))) for use in (elsewhere_use, root_use))
    assert resumed.pop(".run_id") != whole.pop(".run_id")
    assert resumed.keys() == whole.keys()
    assert [key for key in whole if not equal(resumed[key], whole[key])] == []


def test_resumed_training_stays_in_its_run(elsewhere_use: Any, find_runs: Callable[[Path], list[Run]]) -> None:
    (run,) = find_runs(elsewhere_use.trained_dir)
    assert run.info.run_id == checkpoint(elsewhere_use, "last.pt")["run_id"]
    assert run.info.status == "FINISHED"
    assert run.data.tags["resume.changed_params"] == "resume: False -> true"

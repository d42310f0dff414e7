from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import InputError
from pipeline.workflows.search_space import SweepFile

SPACE = {
    "learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
    "batch_size": {"type": "int", "low": 8, "high": 32, "step": 8},
    "network_def#dilations": {"type": "categorical", "choices": [[1, 2], [3, 6]]},
}


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


def test_file_is_read(tmp_path: Path) -> None:
    sweep = SweepFile.read(write(tmp_path / "s.yaml", {"space": SPACE, "num_trials": 7, "settings": {"max_epochs": 3}}))
    assert (sweep.num_trials, sweep.settings, sweep.seed) == (7, {"max_epochs": 3}, 0)


def test_space_becomes_the_distributions_of_optuna() -> None:
    found = SweepFile(SPACE).distributions()
    assert (found["learning_rate"].low, found["learning_rate"].log) == (0.001, True)
    assert (found["batch_size"].high, found["batch_size"].step) == (32, 8)
    assert found["network_def#dilations"].choices == ("[1, 2]", "[3, 6]")


def test_values_of_a_trial_come_over_the_settings() -> None:
    sweep = SweepFile(SPACE, settings={"max_epochs": 3})
    overrides = sweep.overrides({"batch_size": 16, "network_def#dilations": "[3, 6]"})
    assert overrides == {"max_epochs": 3, "batch_size": 16, "network_def#dilations": [3, 6]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "cannot be read"),
        ("text", "must map 'space' and any of"),
        ({"num_trials": 3}, "must map 'space'"),
        ({"space": {}, "trials": 3}, "must map 'space'"),
        ({"space": {"a": 3}}, "'a' must have a type, one of .*got None"),
        ({"space": {"a": {"type": "normal"}}}, "got 'normal'"),
        ({"space": {"a": {"type": "int", "choices": [1]}}}, "'a' of type int takes"),
        ({"space": {"a": {"type": "categorical", "choices": []}}}, "'a' must list its choices"),
        ("space: {a: {type: float, low: 1e-3, high: 1}}", "must have numbers low <= high, got '1e-3' and 1"),
        ({"space": {"a": {"type": "float", "low": 2, "high": 1}}}, "low <= high, got 2 and 1"),
        ({"space": {"a": {"type": "float", "low": 0, "high": 1, "log": True}}}, "must be above 0"),
    ],
)
def test_file_that_no_sweep_understands_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SweepFile.read(write(tmp_path / "s.yaml", content))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        SweepFile.read(tmp_path / "none.yaml")

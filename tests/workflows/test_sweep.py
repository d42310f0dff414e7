"""A sweep whose trainings are stood in for by a function: their Dice is best at a learning rate of 0.01."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipeline.errors import InputError
from pipeline.workflows import sweep as sweep_module
from pipeline.workflows.launch import BundleTraining, parse_overrides
from pipeline.workflows.sweep import sweep

CONFIG = """\
output_dir: ""
resume: false
run_name: ""
learning_rate: 0.01
max_epochs: 4
datalist: {_target_: tests_fake.datalist}
split: {_target_: pipeline.data.make_split, datalist: "@datalist", num_folds: 2}
tracker: {_target_: pipeline.tracking.RunTracker, enabled: false, output_dir: "@output_dir"}
"""
SPACE = {"learning_rate": {"type": "float", "low": 0.0001, "high": 1.0, "log": True}}


class Trainings:
    """Stands in for the processes: four validations, asked after each whether to go on."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.started: list[tuple[str, str]] = []
        self.killed_at: set[int] = set()
        self.failing = False

    def __call__(self, words: list[str], parent_run_id: str, watch: Callable[[], bool]) -> int:
        options = parse_overrides(words[4:])
        rate, folder = float(options["learning_rate"]), Path(options["output_dir"])
        self.rates.append(rate)
        self.started.append((folder.name, options["resume"]))
        if len(self.rates) in self.killed_at:
            raise KeyboardInterrupt
        if self.failing:
            return 1
        folder.mkdir(parents=True, exist_ok=True)
        for epoch in range(1, 5):
            dice = epoch / 4 - 0.1 * abs(math.log10(rate / 0.01))
            with open(folder / "validation.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps({"epoch": epoch, "val_mean_dice": dice}) + "\n")
            if not watch():
                return -15
        return 0


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    stand_in = Trainings()
    monkeypatch.setattr(sweep_module, "run_training_process", stand_in)
    return stand_in


@pytest.fixture
def run(trainings: Trainings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    items = []
    for number in range(2):
        path = tmp_path / f"p{number}.nii"
        path.write_bytes(bytes([number]))
        items.append({"image": str(path), "label": str(path), "patient_id": f"p{number}", "case_id": f"p{number}"})
    (tmp_path / "tests_fake.py").write_text(f"def datalist():\n    return {items!r}\n", encoding="utf-8")
    (tmp_path / "train.yaml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))

    def search(num_trials: int = 6, space: Any = SPACE, **options: Any) -> Any:
        content = {"space": space, "startup_trials": 3, "settings": {"max_epochs": 4}}
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        training = BundleTraining("bundle", str(tmp_path / "train.yaml"))
        return sweep(training, tmp_path / "sweep.yaml", tmp_path / "out", num_trials, **options)

    return search


def test_best_trial_is_the_one_nearest_to_the_best_value(run: Callable[..., Any], trainings: Trainings) -> None:
    best = run(8)
    nearest = min(trainings.rates, key=lambda rate: abs(math.log10(rate / 0.01)))
    assert best["settings"]["learning_rate"] == pytest.approx(nearest)
    assert best["val_mean_dice"] == pytest.approx(1 - 0.1 * abs(math.log10(nearest / 0.01)))


def test_trial_below_the_median_is_stopped_early(run: Callable[..., Any], tmp_path: Path) -> None:
    run(10)
    table = pd.read_csv(tmp_path / "out" / "trials.csv")
    pruned = table[table["state"] == "pruned"]
    assert len(pruned) > 0
    assert (pruned["epochs"] < 4).all()
    assert (table["state"][:3] == "complete").all()


def test_sweep_goes_on_to_the_number_of_trials(run: Callable[..., Any], trainings: Trainings) -> None:
    run(3)
    run(5)
    run(5)
    assert [name for name, _ in trainings.started] == [f"trial_{number:03d}" for number in range(5)]
    assert len(set(trainings.rates)) == 5


def test_trial_that_died_is_asked_again_in_its_folder(
    run: Callable[..., Any], trainings: Trainings, tmp_path: Path
) -> None:
    trainings.killed_at = {2}
    with pytest.raises(KeyboardInterrupt):
        run(3)
    run(3)
    assert trainings.started == [
        ("trial_000", "false"),
        ("trial_001", "false"),
        ("trial_001", "auto"),
        ("trial_003", "false"),
    ]
    assert trainings.rates[1] == trainings.rates[2]
    assert list(pd.read_csv(tmp_path / "out" / "trials.csv")["state"]) == ["complete", "fail", "complete", "complete"]


def test_three_failures_in_a_row_end_the_sweep(run: Callable[..., Any], trainings: Trainings) -> None:
    trainings.failing = True
    with pytest.raises(InputError, match="3 trials in a row have failed"):
        run(6)
    assert len(trainings.rates) == 3


def test_sweep_without_a_whole_trial_has_no_best(run: Callable[..., Any], trainings: Trainings) -> None:
    trainings.failing = True
    with pytest.raises(InputError, match=r"no trial has come to its end, see .*trials\.csv"):
        run(1)


def test_folder_of_another_sweep_is_refused(run: Callable[..., Any]) -> None:
    run(1)
    with pytest.raises(InputError, match="holds a sweep with another space"):
        run(1, space={"max_epochs": {"type": "int", "low": 1, "high": 2}})


def test_space_of_an_unknown_setting_is_refused(run: Callable[..., Any], trainings: Trainings) -> None:
    with pytest.raises(InputError, match=r"unknown setting 'learning_rat'"):
        run(1, space={"learning_rat": SPACE["learning_rate"]})
    assert trainings.rates == []


def test_no_trial_at_all_is_refused(run: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="num_trials must be at least 1, got 0"):
        run(0)


def test_progress_is_told(run: Callable[..., Any]) -> None:
    lines: list[str] = []
    run(1, tell=lines.append)
    assert any("Best so far" in line for line in lines)
    assert any("--learning_rate" in line for line in lines)

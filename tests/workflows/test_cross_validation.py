"""A cross-validation whose trainings are stood in for by a function that leaves what they leave."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.errors import InputError
from pipeline.metrics import summarize
from pipeline.workflows import cross_validation
from pipeline.workflows.cross_validation import cross_validate, pool_rows, read_rows
from pipeline.workflows.launch import BundleTraining, SideBySide, parse_overrides
from pipeline.workflows.training_record import TrainingRecord

CONFIG = """\
dataset_dir: ""
output_dir: ""
num_folds: 3
fold: 0
resume: false
run_name: ""
learning_rate: 0.01
datalist: {_target_: tests_fake.datalist}
split: {_target_: pipeline.data.make_split, datalist: "@datalist", fold: "@fold", num_folds: "@num_folds"}
tracker: {_target_: pipeline.tracking.RunTracker, enabled: false, output_dir: "@output_dir"}
"""
STRUCTURES = ("rv", "myo", "lv")


def row(case_id: str, dice: float) -> dict[str, Any]:
    """A case whose structures all have the same figures."""
    figures = {"dice": dice, "iou": dice / 2, "missed": 0.0, "false_alarm": 0.0, "volume_ml": 100.0}
    figures |= {"label_volume_ml": 110.0, "hd95_mm": 3.0, "assd_mm": 1.0}
    means = {f"mean_{name}": figures[name] for name in ("dice", "iou", "hd95_mm", "assd_mm")}
    identity = {"case_id": case_id, "patient_id": case_id, "phase": "", "group": "NA"}
    return identity | means | {f"{k}_{s}": v for k, v in figures.items() for s in STRUCTURES} | {"accuracy": 0.9}


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BundleTraining:
    """Three patients p0, p1, p2: one a fold."""
    items = []
    for number in range(3):
        (tmp_path / f"p{number}.nii").write_bytes(bytes([number]))
        path = str(tmp_path / f"p{number}.nii")
        items.append({"image": path, "label": path, "patient_id": f"p{number}", "case_id": f"p{number}"})
    (tmp_path / "tests_fake.py").write_text(f"def datalist():\n    return {items!r}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "train.yaml").write_text(CONFIG, encoding="utf-8")
    return BundleTraining("bundle", str(tmp_path / "train.yaml"))


class Trainings:
    """Stands in for the processes: a fold's only case has the Dice 0.5, 0.7 or 0.9."""

    def __init__(self, training: BundleTraining) -> None:
        self.training = training
        self.folds: list[int] = []
        self.resume: set[str] = set()
        self.failing: set[int] = set()
        self.interrupted: set[int] = set()
        self.change: dict[str, Any] = {}
        self.beside: list[SideBySide | None] = []
        self.together: threading.Barrier | None = None

    def __call__(
        self, words: list[str], _parent_run_id: str, goes_on: Callable[[], bool], beside: SideBySide | None
    ) -> int:
        self.beside.append(beside)
        options = parse_overrides(words[4:])
        fold, folder = int(options["fold"]), Path(options["output_dir"])
        self.folds.append(fold)
        self.resume.add(options["resume"])
        if self.together:
            self.together.wait(timeout=30)
        if fold in self.interrupted:
            raise KeyboardInterrupt
        if self.interrupted and beside:
            return self.ended_by(goes_on)
        if fold in self.failing:
            return 1
        parser = replace(self.training, overrides={**self.training.overrides, "fold": str(fold)}).parser()
        split = parser.get_parsed_content("split")
        rows = [row(case["case_id"], 0.5 + 0.2 * fold) for case in split.val]
        folder.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(folder / "metrics.csv", index=False)
        record = TrainingRecord.describe(parser, split)
        replace(record, finished=True, **self.change).save(folder)
        return 0

    def by_fold(self) -> list[SideBySide]:
        """How those ran that ran beside others, by the folders of their logs."""
        return sorted((beside for beside in self.beside if beside), key=lambda beside: beside.log)

    def ended_by(self, goes_on: Callable[[], bool]) -> int:
        """Run until it is told to end."""
        for _ in range(3000):
            if not goes_on():
                return -15
            time.sleep(0.01)
        raise AssertionError("was not told to end")


@pytest.fixture
def trainings(training: BundleTraining, monkeypatch: pytest.MonkeyPatch) -> Trainings:
    stand_in = Trainings(training)
    monkeypatch.setattr(cross_validation, "run_training_process", stand_in)
    return stand_in


@pytest.fixture
def run(training: BundleTraining, trainings: Trainings, tmp_path: Path) -> Callable[..., Any]:
    def cross(folds: list[int] | None = None, **options: Any) -> Any:
        overrides = {key: str(value) for key, value in options.pop("overrides", {}).items()}
        trainings.training = replace(training, overrides=overrides)
        return cross_validate(trainings.training, tmp_path / "cv", folds, **options)

    return cross


def test_every_fold_is_trained_and_goes_on_where_it_can(run: Callable[..., Any], trainings: Trainings) -> None:
    run()
    assert (trainings.folds, trainings.resume) == ([0, 1, 2], {"auto"})


def test_figures_are_those_of_all_cases(run: Callable[..., Any], tmp_path: Path) -> None:
    summary = run()
    assert (summary["num_cases"], summary["folds"], summary["num_folds"]) == (3, [0, 1, 2], 3)
    assert summary["all"]["mean_dice"] == pytest.approx(0.7)  # of 0.5, 0.7, 0.9
    assert summary["all"]["lv"]["dice"]["sd"] == pytest.approx(0.2)
    assert json.loads((tmp_path / "cv" / "summary.json").read_text(encoding="utf-8")) == summary
    assert sorted(pd.read_csv(tmp_path / "cv" / "metrics.csv")["fold"]) == [0, 1, 2]


def test_finished_folds_are_skipped(run: Callable[..., Any], trainings: Trainings) -> None:
    run([0, 2])
    run()
    assert trainings.folds == [0, 2, 1]


def test_some_folds_are_pooled_as_such(run: Callable[..., Any]) -> None:
    lines: list[str] = []
    summary = run([0, 1], tell=lines.append)
    assert (summary["folds"], summary["num_cases"]) == ([0, 1], 2)
    assert any("2 cases of 2 of 3 folds" in line for line in lines)


def test_failing_fold_is_told_and_the_others_go_on(
    run: Callable[..., Any], trainings: Trainings, tmp_path: Path
) -> None:
    trainings.failing = {1}
    lines: list[str] = []
    with pytest.raises(InputError, match=r"folds \[1\] of \[0, 1, 2\] failed"):
        run(tell=lines.append)
    assert trainings.folds == [0, 1, 2]
    assert "Fold 1: the training failed with exit status 1; its message stands above." in lines
    assert json.loads((tmp_path / "cv" / "summary.json").read_text(encoding="utf-8"))["folds"] == [0, 2]


def test_nothing_is_pooled_where_every_fold_fails(
    run: Callable[..., Any], trainings: Trainings, tmp_path: Path
) -> None:
    trainings.failing = {0, 1, 2}
    with pytest.raises(InputError, match="failed"):
        run()
    assert not (tmp_path / "cv" / "summary.json").exists()


def test_interrupted_cross_validation_goes_on(run: Callable[..., Any], trainings: Trainings) -> None:
    trainings.interrupted = {1}
    with pytest.raises(KeyboardInterrupt):
        run()
    trainings.interrupted = set()
    assert run()["num_cases"] == 3
    assert trainings.folds == [0, 1, 1, 2]


def test_folds_run_side_by_side_with_their_own_logs(
    run: Callable[..., Any], trainings: Trainings, tmp_path: Path
) -> None:
    trainings.together = threading.Barrier(3)  # passed by all at once, or never
    lines: list[str] = []
    summary = run(jobs=3, tell=lines.append)
    assert (summary["num_cases"], summary["folds"]) == (3, [0, 1, 2])
    assert sorted(trainings.beside, key=str) == [
        SideBySide(3, tmp_path / "cv" / f"fold_{fold}" / "training.log") for fold in range(3)
    ]
    assert f"Fold 1: training in {tmp_path / 'cv' / 'fold_1'}, see training.log there." in lines


def test_last_fold_that_is_left_over_has_all_cores(run: Callable[..., Any], trainings: Trainings) -> None:
    run(jobs=2)
    assert [beside.jobs for beside in trainings.by_fold()] == [2, 2, 1]


def test_finished_folds_take_no_share_of_the_cores(run: Callable[..., Any], trainings: Trainings) -> None:
    run([0, 1])
    trainings.beside.clear()
    run(jobs=2)
    assert [beside.jobs for beside in trainings.by_fold()] == [1]


def test_failing_fold_says_in_which_log_its_message_stands(
    run: Callable[..., Any], trainings: Trainings, tmp_path: Path
) -> None:
    trainings.failing = {1}
    lines: list[str] = []
    with pytest.raises(InputError, match=r"folds \[1\] of \[0, 1, 2\] failed"):
        run(jobs=2, tell=lines.append)
    log = tmp_path / "cv" / "fold_1" / "training.log"
    assert f"Fold 1: the training failed with exit status 1; its message stands in {log}." in lines


def test_interruption_ends_all_that_run_side_by_side(run: Callable[..., Any], trainings: Trainings) -> None:
    trainings.together, trainings.interrupted = threading.Barrier(2), {0}
    with pytest.raises(KeyboardInterrupt):
        run(jobs=2)
    assert sorted(trainings.folds) == [0, 1]


def test_jobs_below_one_are_refused(run: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="--jobs must be at least 1, got 0"):
        run(jobs=0)


def test_folds_of_other_settings_are_refused_before_anything_runs(
    run: Callable[..., Any], trainings: Trainings
) -> None:
    run([0])
    with pytest.raises(InputError, match=r"fold_0 belongs to another training: learning_rate 0\.01, not 0\.1"):
        run(overrides={"learning_rate": 0.1})
    assert trainings.folds == [0]


@pytest.mark.parametrize(
    ("change", "words"), [({"dataset_digest": "e" * 64}, "other data"), ({"code": "e" * 64}, "other code")]
)
def test_folds_of_other_data_or_code_are_not_pooled(
    run: Callable[..., Any], trainings: Trainings, change: dict[str, str], words: str
) -> None:
    trainings.change = change
    with pytest.raises(InputError, match=words):
        run([0])


def test_folds_of_other_code_are_pooled_where_asked_for(run: Callable[..., Any], trainings: Trainings) -> None:
    trainings.change = {"code": "e" * 64}
    assert run([0], any_code=True)["num_cases"] == 1


@pytest.mark.parametrize("folds", [[], [3], [-1], [0, 0]])
def test_folds_that_there_are_not_are_refused(run: Callable[..., Any], folds: list[int]) -> None:
    with pytest.raises(InputError, match="--folds must be different numbers from 0 to 2"):
        run(folds)


def test_fold_is_no_setting_of_a_cross_validation(run: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"sets --fold of its trainings itself. Choose folds by --folds"):
        run(overrides={"fold": 1})


def write_rows(path: Path, *names: str) -> Path:
    pd.DataFrame([row(name, 0.5) for name in names]).to_csv(path, index=False)
    return path


def test_case_of_two_folds_is_refused(tmp_path: Path) -> None:
    tables = {0: write_rows(tmp_path / "0.csv", "a", "b"), 1: write_rows(tmp_path / "1.csv", "b")}
    with pytest.raises(InputError, match="case 'b' is in fold 0 and in fold 1"):
        pool_rows(tables)


@pytest.mark.parametrize("scarred", [0, 1])
def test_further_label_of_one_fold_is_pooled(tmp_path: Path, scarred: int) -> None:
    tables = {fold: write_rows(tmp_path / f"{fold}.csv", f"case{fold}") for fold in (0, 1)}
    table = pd.read_csv(tables[scarred])
    for name in ("dice", "iou", "missed", "false_alarm", "volume_ml", "label_volume_ml"):
        table[f"{name}_label_4"] = 0.5
    table.to_csv(tables[scarred], index=False)
    block = summarize(pool_rows(tables))["all"]["label_4"]
    assert (block["dice"]["mean"], block["dice"]["n"]) == (0.5, 1)


def test_missing_case_is_refused(run: Callable[..., Any], tmp_path: Path) -> None:
    run()
    write_rows(tmp_path / "cv" / "fold_1" / "metrics.csv", "someone else")
    with pytest.raises(InputError, match=r"1 of 3 cases are in no fold's metrics\.csv, such as p\d"):
        run()


def test_names_stay_text(tmp_path: Path) -> None:
    (read,) = read_rows(write_rows(tmp_path / "0.csv", "007"))
    assert (read["case_id"], read["phase"], read["group"]) == ("007", "", "NA")


@pytest.mark.parametrize(("text", "message"), [("", "has no cases"), ("case_id,dice_lv\na,good\n", "cannot be read")])
def test_damaged_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "0.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"0\.csv {message}"):
        read_rows(tmp_path / "0.csv")


def test_figure_that_does_not_count_stays_nan(tmp_path: Path) -> None:
    (tmp_path / "0.csv").write_text("case_id,dice_lv\na,\n", encoding="utf-8")
    (read,) = read_rows(tmp_path / "0.csv")
    assert math.isnan(read["dice_lv"])

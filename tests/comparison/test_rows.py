from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.comparison.cases import Cases
from pipeline.comparison.records import PARENT_TAG, RunRecord
from pipeline.comparison.rows import Row, arrange
from pipeline.errors import InputError


def run(run_id: str, dice: float = math.nan, name: str = "", **more: object) -> RunRecord:
    metrics = {} if math.isnan(dice) else {"best_mean_dice": dice}
    tags = {"job": "training", "dataset_digest": "d", **dict(more.pop("tags", {}))}  # type: ignore[call-overload]
    defaults = {"metrics": metrics, "start_ms": 0, "end_ms": 60_000, "tags": tags}
    return RunRecord(run_id, name or run_id, **{**defaults, **more})  # type: ignore[arg-type]


def fold(run_id: str, number: int, parent: str = "cv", **more: object) -> RunRecord:
    params = {"fold": str(number), "seed": "0", "output_dir": run_id}
    return run(run_id, 0.5, params=params, tags={PARENT_TAG: parent}, **more)


def two_cases(record: RunRecord) -> Cases:
    """Dice 0.6 and 0.8 in the first fold, 0.8 and 1.0 in the second."""
    start = 0.6 + 0.2 * int(record.params["fold"])
    names = (f"{record.id}_a", f"{record.id}_b")
    return Cases(names, names, {"mean_dice": np.array([start, start + 0.2])})


def no_cases(record: RunRecord) -> Cases:
    raise InputError(f"{record.name} has none.")


def labels(rows: list[Row]) -> list[str]:
    return [row.label for row in rows]


def test_best_run_comes_first_and_unknown_ones_last() -> None:
    rows, _ = arrange([run("none"), run("low", 0.5), run("high", 0.9)], no_cases)
    assert labels(rows) == ["high", "low", "none"]


def test_smallest_distance_comes_first() -> None:
    records = [
        run("far", metrics={"best_mean_dice": 0.9, "best_mean_hd95_mm": 9.0}),
        run("near", metrics={"best_mean_dice": 0.8, "best_mean_hd95_mm": 3.0}),
    ]
    assert labels(arrange(records, no_cases, "mean_hd95_mm")[0]) == ["near", "far"]


def test_runs_of_one_name_are_told_apart() -> None:
    rows, notes = arrange([run("aaaaaaaa", 0.9, "same"), run("bbbbbbbb", 0.8, "same")], no_cases)
    assert labels(rows) == ["same (aaaaaa)", "same (bbbbbb)"]
    assert notes == ["1 name of several runs: told apart by the beginning of their ids."]


def test_folds_are_one_row_with_the_figures_of_all_cases() -> None:
    parent = run("cv", tags={"job": "other"})
    rows, _ = arrange([parent, fold("f0", 0), fold("f1", 1)], two_cases)
    assert labels(rows) == ["cv"]
    assert (rows[0].figures["mean_dice"], rows[0].source) == (pytest.approx(0.8), "pooled")
    assert (rows[0].minutes, rows[0].digest) == (2.0, "d")


def test_figures_that_a_cross_validation_has_recorded_are_taken() -> None:
    parent = run("cv", 0.77, tags={"job": "cross-validation"})
    rows, _ = arrange([parent, fold("f0", 0)], no_cases)
    assert [(row.figures["mean_dice"], len(row.folds)) for row in rows] == [(0.77, 1)]


def test_settings_of_folds_are_those_that_all_share() -> None:
    rows, _ = arrange([run("cv"), fold("f0", 0), fold("f1", 1)], two_cases)
    assert rows[0].params == {"seed": "0"}


def test_folds_that_cannot_be_pooled_are_noted() -> None:
    rows, notes = arrange([run("cv"), fold("f0", 0), fold("f1", 1)], no_cases)
    assert (labels(rows), rows[0].figures) == (["cv"], {})
    assert notes[0] == "cv: its folds cannot be pooled. f0 has none."


def test_worst_status_of_folds_is_shown() -> None:
    rows, _ = arrange([run("cv"), fold("f0", 0), fold("f1", 1, status="FAILED")], two_cases)
    assert rows[0].status == "FAILED"


def test_folds_on_different_data_have_no_common_digest() -> None:
    other = fold("f1", 1)
    other = RunRecord(**{**other.__dict__, "tags": {**other.tags, "dataset_digest": "e"}})
    rows, _ = arrange([run("cv"), fold("f0", 0), other], two_cases)
    assert rows[0].digest == ""


def test_trials_of_a_sweep_are_rows_and_the_sweep_is_none() -> None:
    sweep = run("sweep", metrics={"val_mean_dice": 0.9}, tags={"job": "sweep"})
    trials = [run(f"t{number}", 0.5, tags={PARENT_TAG: "sweep"}, params={"fold": "0"}) for number in (0, 1)]
    rows, _ = arrange([sweep, *trials], no_cases)
    assert labels(rows) == ["t0", "t1"]


def test_unfinished_run_is_noted_with_the_figures_of_its_latest_validation() -> None:
    rows, notes = arrange([run("a", metrics={"val_mean_dice": 0.4}, status="RUNNING", end_ms=None)], no_cases)
    assert (rows[0].source, rows[0].figures) == ("latest", {"mean_dice": 0.4})
    assert notes[0] == "1 run not finished, such as a: figures may change."
    assert "1 training without a final evaluation, such as a: marked *" in notes[1]


def test_clock_that_jumped_is_noted() -> None:
    _, notes = arrange([run("a", 0.5, start_ms=60_000, end_ms=0)], no_cases)
    assert notes == ["1 run ended before the start, such as a: the clock was set."]


@pytest.mark.parametrize("where", [{"tags": {"num_parameters": "1234"}}, {"metrics": {"num_parameters": 1234.0}}])
def test_number_of_parameters_is_a_tag_or_a_metric(where: dict[str, object]) -> None:
    assert Row("a", run("a", **where)).num_parameters == 1234


def test_device_and_unknown_parameters() -> None:
    row = Row("a", run("a", tags={"device": "cpu"}))
    assert row.device == "cpu" and math.isnan(row.num_parameters)

"""The results of an evaluation as part of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.tracking import RunTracker, log_evaluation


def block(dice: float) -> dict[str, object]:
    structure = {"dice": {"mean": dice}, "missed": 1, "false_alarms": 0}
    return {"mean_dice": dice, "accuracy": 0.99, "rv": structure, "myo": structure, "lv": structure}


def test_figures_are_metrics(tracker: RunTracker, client: MlflowClient) -> None:
    with tracker.start("evaluating") as run:
        log_evaluation(run, [], {"all": block(0.75), "ed": block(0.8)}, step=4)
    metrics = client.get_run(run.id).data.metrics
    assert (metrics["val_mean_dice"], metrics["val_dice_lv_ed"]) == pytest.approx((0.75, 0.8))
    assert metrics["val_missed_rv"] == 1
    assert client.get_metric_history(run.id, "val_accuracy")[0].step == 4


def test_files_are_artifacts(tracker: RunTracker, client: MlflowClient, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("case_id\n", encoding="utf-8")
    with tracker.start("evaluating") as run:
        log_evaluation(run, [tmp_path / "metrics.csv"], {"all": block(0.75)})
    assert [file.path for file in client.list_artifacts(run.id, "evaluation")] == ["evaluation/metrics.csv"]


def test_agreement_is_among_the_metrics(tracker: RunTracker, client: MlflowClient) -> None:
    figures = {"n": 20, "bias": -0.4, "sd": 2.5, "mean_absolute_error": 2.0, "pearson_r": 0.99}
    agreement = {"quantities": {"lv_ef_percent": figures}}
    with tracker.start("evaluating") as run:
        log_evaluation(run, [], {"all": block(0.75), "agreement": agreement}, prefix="best_")
    metrics = client.get_run(run.id).data.metrics
    assert metrics["best_agreement/lv_ef_percent.bias"] == pytest.approx(-0.4)


def test_main_figures_are_the_description(tracker: RunTracker, client: MlflowClient) -> None:
    with tracker.start("evaluating") as run:
        before = client.get_run(run.id).data.tags["mlflow.note.content"]
        log_evaluation(run, [], {"all": block(0.75)})
    assert before == "An evaluation of saved weights."
    lines = client.get_run(run.id).data.tags["mlflow.note.content"].splitlines()
    assert lines[:3] == [
        "| Dice | mean | RV | MYO | LV |",
        "| --- | --- | --- | --- | --- |",
        "| all cases | 0.750 | 0.750 | 0.750 | 0.750 |",
    ]

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ignite.engine import Engine
from monai.engines import SupervisedTrainer

from pipeline.handlers import EpochLog, EvaluationProgress, TrainingProgress


def validator(**state: Any) -> Any:
    """An evaluator that has not run, unless ``state`` says so."""
    defaults = {"epoch": 0, "metrics": {}, "best_metric": -1, "best_metric_epoch": -1}
    return SimpleNamespace(state=SimpleNamespace(**{**defaults, **state}))


def logged(caplog: pytest.LogCaptureFixture, trainer: SupervisedTrainer) -> list[str]:
    with caplog.at_level(logging.INFO, logger="pipeline.handlers.progress"):
        trainer.run()
    return [record.message for record in caplog.records if record.name == "pipeline.handlers.progress"]


def test_epoch_is_one_line(caplog: pytest.LogCaptureFixture, new_trainer: Callable[..., SupervisedTrainer]) -> None:
    lines = logged(caplog, new_trainer(EpochLog(validator()), batches=2, max_epochs=2))
    # losses 4 and 0.16, then 25^2 times less
    assert re.fullmatch(r"Epoch 1/2: loss 2\.0800, learning rate 1\.00e-01, \d+\.\d s", lines[0])
    assert re.fullmatch(r"Epoch 2/2: loss 0\.0033, learning rate 1\.00e-01, \d+\.\d s", lines[1])


def test_validation_of_the_epoch_is_in_the_line(
    caplog: pytest.LogCaptureFixture, new_trainer: Callable[..., SupervisedTrainer]
) -> None:
    metrics = {
        "val_mean_dice": 0.81234,
        "val_dice_rv": 0.7,
        "val_dice_rv_ed": 0.6,
        "val_dice_lv": 0.9,
        "val_dice_label_4": 0.5,
    }
    found = validator(epoch=1, metrics=metrics, best_metric=0.85, best_metric_epoch=1)
    (line,) = logged(caplog, new_trainer(EpochLog(found)))
    assert line.endswith(" s, validation Dice 0.8123, rv 0.700, lv 0.900, label_4 0.500, best 0.8500 in epoch 1")


def test_validation_of_an_earlier_epoch_is_not(
    caplog: pytest.LogCaptureFixture, new_trainer: Callable[..., SupervisedTrainer]
) -> None:
    found = validator(epoch=1, metrics={"val_mean_dice": 0.8}, best_metric=0.8, best_metric_epoch=1)
    first, second = logged(caplog, new_trainer(EpochLog(found), max_epochs=2))
    assert "validation" in first
    assert "validation" not in second


def test_other_processes_log_nothing(
    caplog: pytest.LogCaptureFixture, new_trainer: Callable[..., SupervisedTrainer]
) -> None:
    assert logged(caplog, new_trainer(EpochLog(validator(), enabled=False))) == []


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> pytest.CaptureFixture[str]:
    """What is captured, seen as a terminal by those who write it."""
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda self: True)
    return capsys


def test_bar_shows_loss_and_best_dice(
    terminal: pytest.CaptureFixture[str], new_trainer: Callable[..., SupervisedTrainer]
) -> None:
    new_trainer(TrainingProgress(validator(best_metric=0.85, best_metric_epoch=1)), batches=2).run()
    assert "loss=0.16, best_dice=0.85" in terminal.readouterr().err


def test_bar_shows_no_dice_before_the_first_validation(
    terminal: pytest.CaptureFixture[str], new_trainer: Callable[..., SupervisedTrainer]
) -> None:
    new_trainer(TrainingProgress(validator())).run()
    shown = terminal.readouterr().err
    assert "loss=" in shown
    assert "best_dice" not in shown


def test_other_processes_show_no_bar(
    terminal: pytest.CaptureFixture[str], new_trainer: Callable[..., SupervisedTrainer]
) -> None:
    new_trainer(TrainingProgress(validator(), enabled=False)).run()
    assert terminal.readouterr().err == ""


def test_log_of_a_cluster_has_no_bar(
    capsys: pytest.CaptureFixture[str], new_trainer: Callable[..., SupervisedTrainer]
) -> None:
    new_trainer(TrainingProgress(validator())).run()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("enabled", "terminal", "shown"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_bar_of_an_evaluation(
    enabled: bool, terminal: bool, shown: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    engine = Engine(lambda engine, batch: batch)
    EvaluationProgress(enabled).attach(engine)
    engine.run([0, 1])
    assert ("Evaluating" in capsys.readouterr().err) is shown

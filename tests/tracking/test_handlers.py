"""What trainer and evaluator tell a run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from mlflow import MlflowClient
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import ValidationHandler

from pipeline.tracking import Run, RunTracker, TrainingLog, ValidationLog
from pipeline.tracking.handlers import _scalars


class Notebook(Run):
    """A run that keeps what it is told."""

    id = "notebook"

    def __init__(self) -> None:
        self.told: list[tuple[str, float, int]] = []
        self.flushed: list[int] = []

    def log_metrics(self, metrics: Any, step: int = 0) -> None:
        self.told += [(key, float(value), step) for key, value in metrics.items()]

    def flush(self) -> bool:
        self.flushed.append(len(self.told))
        return True

    def values(self, key: str) -> list[tuple[int, float]]:
        return [(step, round(value, 6)) for name, value, step in self.told if name == key]


def trainer_with(losses: list[float], epochs: int, decollate: bool = True, handlers: list[Any] | None = None) -> Engine:
    """A trainer of two iterations an epoch whose loss is given."""
    network = torch.nn.Linear(1, 1)
    given = iter(losses)
    return SupervisedTrainer(
        device="cpu",
        max_epochs=epochs,
        train_data_loader=[{"image": torch.ones(2, 1), "label": torch.ones(2, 1)}] * 2,
        network=network,
        optimizer=torch.optim.SGD([{"params": network.weight, "lr": 0.1}, {"params": network.bias, "lr": 0.01}]),
        loss_function=lambda pred, label: pred.sum() * 0 + next(given),
        train_handlers=handlers,
        decollate=decollate,
    )


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.mark.parametrize("decollate", [True, False])
def test_loss_of_each_iteration(notebook: Notebook, decollate: bool) -> None:
    trainer_with([4.0, 2.0, 1.0, 0.0], 2, decollate, [TrainingLog(notebook)]).run()
    assert notebook.values("train_loss") == [(1, 4.0), (2, 2.0), (3, 1.0), (4, 0.0)]


def test_mean_loss_of_each_epoch(notebook: Notebook) -> None:
    trainer_with([4.0, 2.0, 1.0, 0.0], 2, handlers=[TrainingLog(notebook)]).run()
    assert notebook.values("train_loss_epoch") == [(1, 3.0), (2, 0.5)]


def test_learning_rate_of_each_group(notebook: Notebook) -> None:
    trainer_with([1.0, 1.0], 1, handlers=[TrainingLog(notebook)]).run()
    assert notebook.values("learning_rate") == [(1, 0.1), (2, 0.1)]
    assert notebook.values("learning_rate_1") == [(1, 0.01), (2, 0.01)]


def test_seconds_of_an_epoch_without_its_validation(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_with([1.0, 1.0], 1)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: clock.append(1000.0))
    TrainingLog(notebook).attach(trainer)
    clock = [0.0]
    monkeypatch.setattr("ignite.engine.engine.time.time", lambda: sum(clock))
    trainer.add_event_handler(Events.ITERATION_STARTED, lambda: clock.append(2.5))
    trainer.run()
    assert notebook.values("epoch_seconds") == [(1, 5.0)]


def test_metrics_are_sent_once_an_epoch(notebook: Notebook) -> None:
    trainer_with([1.0] * 4, 2, handlers=[TrainingLog(notebook)]).run()
    assert notebook.flushed == [8, 16]


class Constant:
    """A metric of ignite's kind, whose value is given."""

    def __init__(self, value: object) -> None:
        self.value = value

    def attach(self, engine: Engine, name: str) -> None:
        engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: engine.state.metrics.update({name: self.value}))


def evaluator_with(value: object, handlers: list[Any]) -> SupervisedEvaluator:
    return SupervisedEvaluator(
        device="cpu",
        val_data_loader=[{"image": torch.ones(1, 1), "label": torch.ones(1, 1)}],
        network=torch.nn.Linear(1, 1),
        key_val_metric={"val_mean_dice": Constant(value)},  # type: ignore[dict-item]
        val_handlers=handlers,
    )


def test_validation_has_the_epoch_of_the_trainer(notebook: Notebook) -> None:
    evaluator = evaluator_with(0.9, [ValidationLog(notebook)])
    trainer_with([1.0] * 8, 4, handlers=[ValidationHandler(interval=2, validator=evaluator)]).run()
    assert notebook.values("val_mean_dice") == [(2, 0.9), (4, 0.9)]


def test_evaluation_alone_has_step_one(notebook: Notebook) -> None:
    evaluator_with(0.9, [ValidationLog(notebook)]).run()
    assert notebook.values("val_mean_dice") == [(1, 0.9)]
    assert notebook.flushed == [1]


def test_every_scalar_counts_and_nothing_else() -> None:
    metrics = {
        "float": 0.5,
        "int": 2,
        "nan": math.nan,
        "numpy": np.float32(0.5),
        "tensor": torch.tensor([0.5]),
        "array": np.array(0.5),
        "many": torch.ones(3),
        "text": "0.5",
        "flag": True,
        "nothing": None,
    }
    assert list(_scalars(metrics)) == ["float", "int", "nan", "numpy", "tensor", "array"]


def test_handlers_find_the_run_that_begins_later(tracker: RunTracker, client: MlflowClient) -> None:
    evaluator = evaluator_with(0.9, [ValidationLog(tracker)])
    trainer = trainer_with([3.0, 1.0], 1, handlers=[TrainingLog(tracker), ValidationHandler(1, evaluator)])
    with tracker.start() as run:
        trainer.run()
    metrics = client.get_run(run.id).data.metrics
    assert (metrics["train_loss"], metrics["train_loss_epoch"], metrics["val_mean_dice"]) == (1.0, 2.0, 0.9)


@pytest.mark.parametrize("tracker", [RunTracker(enabled=False), Run()], ids=["tracker", "run"])
def test_handlers_do_nothing_where_nothing_is_recorded(tracker: RunTracker | Run) -> None:
    trainer = trainer_with([1.0, 1.0], 1, handlers=[TrainingLog(tracker), ValidationLog(tracker)])
    trainer.run()
    assert trainer.state.epoch == 1

from __future__ import annotations

from typing import Any

import pytest
from ignite.engine import Engine
from monai.engines import Evaluator

from pipeline.handlers import EpochValidation


class Recorder(Evaluator):
    def __init__(self, cases: int = 1) -> None:
        super().__init__(device="cpu", val_data_loader=[None] * cases)
        self.epochs: list[int] = []

    def run(self, global_epoch: int = 1) -> None:
        self.epochs.append(global_epoch)


def validated_epochs(interval: int, max_epochs: int, cases: int = 1) -> list[int]:
    trainer, recorder = Engine(lambda engine, batch: None), Recorder(cases)
    EpochValidation(recorder, interval).attach(trainer)
    data: Any = [0]
    trainer.run(data, max_epochs=max_epochs)
    return recorder.epochs


@pytest.mark.parametrize(
    ("interval", "max_epochs", "expected"),
    [(5, 12, [5, 10, 12]), (5, 10, [5, 10]), (5, 3, [3]), (1, 2, [1, 2])],
)
def test_every_interval_and_the_last_epoch(interval: int, max_epochs: int, expected: list[int]) -> None:
    assert validated_epochs(interval, max_epochs) == expected


def test_nothing_runs_where_there_are_no_cases() -> None:
    assert validated_epochs(1, 3, cases=0) == []


def test_interval_must_be_an_epoch_at_least() -> None:
    with pytest.raises(ValueError, match="interval must be at least 1 epoch, got 0"):
        EpochValidation(Recorder(), 0)

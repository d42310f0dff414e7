from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ignite.engine import Engine

from pipeline.handlers.history import ValidationHistory, read_history


@pytest.fixture
def evaluator() -> Engine:
    """An evaluator whose figure is a tenth of the epoch."""

    def step(engine: Engine, batch: Any) -> None:
        engine.state.metrics = {"val_mean_dice": engine.state.epoch_to_be / 10, "confusion": [[1]]}

    return Engine(step)


def validate(evaluator: Engine, epoch: int) -> None:
    evaluator.state.epoch_to_be = epoch
    evaluator.run([0])
    # as MONAI's evaluators do, which count the trainer's epochs


def write(path: Path, *epochs: int) -> None:
    path.write_text("".join(f'{{"epoch": {epoch}, "val_mean_dice": 0.5}}\n' for epoch in epochs), encoding="utf-8")


def test_each_validation_is_a_line_of_its_scalars(evaluator: Engine, tmp_path: Path) -> None:
    ValidationHistory(tmp_path / "v.jsonl").start(SimpleNamespace(state=SimpleNamespace(epoch=0)), evaluator)
    validate(evaluator, 3)
    assert read_history(tmp_path / "v.jsonl") == [{"epoch": 1, "val_mean_dice": 0.3}]


@pytest.mark.parametrize(("resumed_after", "kept"), [(0, []), (4, [2, 4]), (6, [2, 4, 6])])
def test_lines_after_the_epoch_to_go_on_from_are_dropped(
    evaluator: Engine, tmp_path: Path, resumed_after: int, kept: list[int]
) -> None:
    write(tmp_path / "v.jsonl", 2, 4, 6)
    trainer = SimpleNamespace(state=SimpleNamespace(epoch=resumed_after))
    ValidationHistory(tmp_path / "v.jsonl").start(trainer, evaluator)
    assert [line["epoch"] for line in read_history(tmp_path / "v.jsonl")] == kept


def test_what_is_evaluated_after_the_training_is_no_validation(evaluator: Engine, tmp_path: Path) -> None:
    history = ValidationHistory(tmp_path / "v.jsonl")
    history.start(SimpleNamespace(state=SimpleNamespace(epoch=0)), evaluator)
    history.stop(evaluator)
    validate(evaluator, 1)
    assert read_history(tmp_path / "v.jsonl") == []


def test_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "v.jsonl", 1)
    with open(tmp_path / "v.jsonl", "a", encoding="utf-8") as file:
        file.write('{"epoch": 2, "val_')
    assert [line["epoch"] for line in read_history(tmp_path / "v.jsonl")] == [1]


def test_training_that_has_not_validated_has_no_history(tmp_path: Path) -> None:
    assert read_history(tmp_path / "v.jsonl") == []

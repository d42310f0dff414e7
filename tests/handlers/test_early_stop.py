from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from ignite.engine import Engine, Events
from monai.engines import SupervisedTrainer

from pipeline.handlers import EarlyStop


class Validator(Engine):
    """Finds the given scores, one a run."""

    def __init__(self, scores: Sequence[float]) -> None:
        self.scores: Iterator[float] = iter(scores)
        super().__init__(self._find)

    def _find(self, engine: Engine, _: object) -> None:
        engine.state.metrics["val_mean_dice"] = next(self.scores)

    def validate(self) -> None:
        self.run([0])


def train(stop: EarlyStop, scores: Sequence[float], trainer: SupervisedTrainer) -> int:
    """Train with a validation an epoch, and return how many epochs it took."""
    validator = Validator(scores)
    stop.watch(validator, trainer)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, validator.validate)
    trainer.run()
    return trainer.state.epoch


@pytest.mark.parametrize(
    ("scores", "epochs"),
    [
        ([0.5, 0.6, 0.5, 0.6, 0.7], 4),  # equal is not better
        ([0.5, 0.4, 0.6, 0.5, 0.5], 5),  # a better one starts the count anew
        ([0.1, 0.2, 0.3, 0.4, 0.5], 5),
    ],
)
def test_training_ends_when_nothing_gets_better(
    scores: list[float], epochs: int, new_trainer: Callable[..., SupervisedTrainer]
) -> None:
    assert train(EarlyStop(patience=2), scores, new_trainer(max_epochs=5)) == epochs


def test_count_goes_on_after_a_round_trip(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    first, second = EarlyStop(patience=3), EarlyStop(patience=3)
    train(first, [0.5, 0.4, 0.3], new_trainer(max_epochs=3))
    trainer, validator = new_trainer(), Validator([0.4])
    second.watch(validator, trainer)
    second.load_state_dict(first.state_dict())
    assert not second.reached
    validator.validate()
    assert second.reached
    assert trainer.should_terminate


def test_count_that_is_reached_stays_so_after_a_round_trip(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    first, second = EarlyStop(patience=1), EarlyStop(patience=1)
    train(first, [0.5, 0.4], new_trainer(max_epochs=5))
    second.watch(Validator([]), new_trainer())
    second.load_state_dict(first.state_dict())
    assert second.reached


def test_released_evaluator_is_not_counted(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    stop, validator = EarlyStop(patience=1), Validator([0.5, 0.4])
    stop.watch(validator, new_trainer())
    validator.validate()
    stop.release(validator)
    validator.validate()
    assert not stop.reached


def test_without_a_training_there_is_nothing_to_count() -> None:
    stop = EarlyStop(patience=1)
    assert not stop.reached
    assert stop.state_dict() == {}
    stop.load_state_dict({})
    stop.release(Validator([]))


def test_other_metric_can_decide(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    stop, validator = EarlyStop(patience=1, metric="val_mean_iou"), Validator([0.5, 0.6])
    stop.watch(validator, new_trainer())
    validator.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: engine.state.metrics.update(val_mean_iou=0.1))
    validator.validate()
    validator.validate()
    assert stop.reached


def test_patience_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="patience must be at least 1, got 0"):
        EarlyStop(patience=0)

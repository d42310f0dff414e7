"""Early stopping that goes on counting when a training is resumed."""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine, Events
from ignite.handlers import EarlyStopping
from monai.engines import SupervisedEvaluator, SupervisedTrainer


class EarlyStop:
    """Ends a training when validation has not found a better Dice for a while, by ignite's ``EarlyStopping``.

    MONAI's ``EarlyStopHandler`` cannot be saved: a resumed training would count from zero.

    Args:
        patience: validations without a better score, at least 1.
        metric: name in ``engine.state.metrics`` of the validator.

    Raises:
        ValueError: ``patience`` is below 1.
    """

    def __init__(self, patience: int, metric: str = "val_mean_dice") -> None:
        if patience < 1:
            raise ValueError(f"patience must be at least 1, got {patience}.")
        self.patience = patience
        self.metric = metric
        self._counter: EarlyStopping | None = None

    @property
    def reached(self) -> bool:
        """Whether the training is at its end: there have been ``patience`` validations without a better score."""
        return self._counter is not None and self._counter.counter >= self.patience

    def watch(self, evaluator: SupervisedEvaluator, trainer: SupervisedTrainer) -> None:
        """Count at the end of each of the evaluator's runs, and end the trainer's."""
        self._counter = EarlyStopping(self.patience, self._score, trainer)
        evaluator.add_event_handler(Events.COMPLETED, self._counter)

    def release(self, evaluator: SupervisedEvaluator) -> None:
        """Stop counting: what the evaluator runs from now on is no validation of a training."""
        if self._counter is not None:
            evaluator.remove_event_handler(self._counter, Events.COMPLETED)

    def state_dict(self) -> dict[str, Any]:
        """Return how many validations were no better, and the best score."""
        return dict(self._counter.state_dict()) if self._counter else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict``."""
        if self._counter and state:
            self._counter.load_state_dict(state)

    def _score(self, engine: Engine) -> float:
        return float(engine.state.metrics[self.metric])

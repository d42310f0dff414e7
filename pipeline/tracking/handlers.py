"""Handlers that tell a run what trainer and evaluator do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsFloat

import numpy as np
import torch
from ignite.engine import Engine, Events

from pipeline.tracking.run import Run
from pipeline.tracking.tracker import RunTracker


class _RunHandler:
    """Finds the run that is on record now: none is outside of ``RunTracker.start``."""

    def __init__(self, tracker: RunTracker | Run) -> None:
        self._tracker = tracker

    @property
    def run(self) -> Run | None:
        """The run to report to; None where nothing is recorded."""
        run = self._tracker.run if isinstance(self._tracker, RunTracker) else self._tracker
        return run if run is not None and run.id else None


class TrainingLog(_RunHandler):
    """Records loss and learning rate of each iteration, and mean loss and time of each epoch.

    Metrics ``train_loss`` and ``learning_rate`` (``learning_rate_1``, … for further parameter groups) have the
    iteration as step; ``train_loss_epoch`` and ``epoch_seconds`` (without validation) have the epoch. They are sent
    once an epoch. A no-op where nothing is recorded.

    Args:
        tracker: the tracker, whose run begins later, or a run.
        loss_key: key of the loss in the trainer's output.
    """

    def __init__(self, tracker: RunTracker | Run, loss_key: str = "loss") -> None:
        super().__init__(tracker)
        self._loss_key = loss_key
        self._losses: list[torch.Tensor] = []

    def attach(self, engine: Engine) -> None:
        """Register with a trainer (its ``optimizer`` gives the learning rate)."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._begin_epoch)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._log_iteration)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._log_epoch)

    def _begin_epoch(self) -> None:
        self._losses = []

    def _log_iteration(self, engine: Engine) -> None:
        if self.run is None:
            return
        loss = _loss(engine.state.output, self._loss_key)
        self._losses.append(loss)
        self.run.log_metrics({"train_loss": loss, **_learning_rates(engine)}, step=engine.state.iteration)

    def _log_epoch(self, engine: Engine) -> None:
        if self.run is None:
            return
        metrics: dict[str, SupportsFloat] = {}
        if self._losses:
            metrics["train_loss_epoch"] = torch.stack(self._losses).mean()
        # ignite sets it before this event, so the validation, a handler of this event, does not count
        seconds = engine.state.times[Events.EPOCH_COMPLETED.name]
        if seconds is not None:
            metrics["epoch_seconds"] = seconds
        self.run.log_metrics(metrics, step=engine.state.epoch)
        self.run.flush()


class ValidationLog(_RunHandler):
    """Records every scalar in ``engine.state.metrics`` under its own name when an evaluator has finished.

    The step is the trainer's epoch, which MONAI's ``ValidationHandler`` hands to the evaluator, and 1 outside of a
    training. An epoch that is evaluated again, as the best one is at the end of a training, is not recorded again. A
    no-op where nothing is recorded.

    Args:
        tracker: the tracker, whose run begins later, or a run.
    """

    def __init__(self, tracker: RunTracker | Run) -> None:
        super().__init__(tracker)
        self._last_epoch = 0

    def attach(self, engine: Engine) -> None:
        """Register with an evaluator."""
        engine.add_event_handler(Events.COMPLETED, self._log_metrics)

    def _log_metrics(self, engine: Engine) -> None:
        if self.run is None or engine.state.epoch <= self._last_epoch:
            return
        self._last_epoch = engine.state.epoch
        self.run.log_metrics(_scalars(engine.state.metrics), step=engine.state.epoch)
        self.run.flush()


def _loss(output: Any, key: str) -> torch.Tensor:
    """The loss of a batch; a decollated output repeats it in each item. Stays on its device: reading it would wait."""
    first = output[0] if isinstance(output, list) else output
    loss = first[key] if isinstance(first, Mapping) else first
    return torch.as_tensor(loss).detach().float().mean()


def _learning_rates(engine: Engine) -> dict[str, float]:
    groups = engine.optimizer.param_groups  # type: ignore[attr-defined]  # of MONAI's trainers
    return {f"learning_rate_{i}" if i else "learning_rate": float(group["lr"]) for i, group in enumerate(groups)}


def _scalars(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if _is_scalar(value)}


def _is_scalar(value: object) -> bool:
    if isinstance(value, torch.Tensor | np.ndarray):
        return int(np.prod(value.shape)) == 1
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)

"""What a person sees while a training or an evaluation runs: a bar with the loss, and a line an epoch."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar
from monai.engines import SupervisedEvaluator, SupervisedTrainer

logger = logging.getLogger(__name__)

DICE = "val_dice_"


class TrainingProgress(ProgressBar):
    """A progress bar for each epoch with the loss of the last iteration and the best Dice so far.

    Only a terminal shows it: in the log of a cluster :class:`EpochLog` says enough.

    Args:
        validator: the evaluator of the validation.
        enabled: whether to show anything; off for all processes of a distributed training but the first.
    """

    def __init__(self, validator: SupervisedEvaluator, enabled: bool = True) -> None:
        super().__init__(persist=False, mininterval=0.5, disable=None if enabled else True)  # None: by the terminal
        self.validator = validator

    def attach(self, engine: Engine) -> None:  # type: ignore[override]
        """Attach to a trainer."""
        super().attach(engine, output_transform=self._figures)

    def _figures(self, output: dict) -> dict[str, float]:
        figures = {"loss": output["loss"].item()}
        if self.validator.state.best_metric_epoch > 0:
            figures["best_dice"] = float(self.validator.state.best_metric)
        return figures


class EvaluationProgress(ProgressBar):
    """A progress bar over the cases of a validation or an evaluation, in a terminal: ignite's draws each case anew.

    Args:
        enabled: whether to show anything.
    """

    def __init__(self, enabled: bool = True) -> None:
        super().__init__(persist=False, desc="Evaluating", mininterval=0.5, disable=None if enabled else True)


class EpochLog:
    """Logs one line an epoch: mean loss, learning rate, seconds, and what validation found where it ran.

    Args:
        validator: the evaluator of the validation.
        enabled: whether to log anything.
    """

    def __init__(self, validator: SupervisedEvaluator, enabled: bool = True) -> None:
        self.validator = validator
        self.enabled = enabled
        self.total = 0.0
        self.started = 0.0

    def attach(self, engine: SupervisedTrainer) -> None:
        """Attach to a trainer, behind the handler that validates."""
        if not self.enabled:
            return
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._log)

    def _start(self, engine: SupervisedTrainer) -> None:
        self.total = 0.0
        self.started = time.perf_counter()

    def _add(self, engine: SupervisedTrainer) -> None:
        self.total += engine.state.output["loss"].item()

    def _log(self, engine: SupervisedTrainer) -> None:
        state = engine.state
        line = (
            f"Epoch {state.epoch}/{state.max_epochs}: loss {self.total / max(state.epoch_length, 1):.4f}, "
            f"learning rate {engine.optimizer.param_groups[0]['lr']:.2e}, "
            f"{time.perf_counter() - self.started:.1f} s"
        )
        validation = self.validator.state
        if validation.epoch == state.epoch and validation.metrics:
            line += f", validation Dice {validation.metrics['val_mean_dice']:.4f}"
            line += "".join(f", {name} {value:.3f}" for name, value in _dice_by_label(validation.metrics).items())
            line += f", best {validation.best_metric:.4f} in epoch {validation.best_metric_epoch}"
        logger.info(line)


def _dice_by_label(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the Dice of all cases by structure and further label, without those of the phases (``val_dice_rv_ed``)."""
    names = [name.removeprefix(DICE) for name in metrics if re.fullmatch(DICE + r"([a-z]+|label_\d+)", name)]
    return {name: metrics[DICE + name] for name in names}

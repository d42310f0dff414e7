"""Stops a training whose loss is no number any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents

from pipeline.errors import InputError


class RequireFiniteLoss:
    """Raises as soon as a loss is NaN or infinite, before the step of the optimizer that would spoil the weights."""

    def attach(self, engine: SupervisedTrainer) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self)

    def __call__(self, engine: SupervisedTrainer) -> None:
        """Check the loss of one iteration.

        Raises:
            InputError: the loss is NaN or infinite; names epoch, iteration, and cases and range of the batch's images.
        """
        loss = engine.state.output["loss"]
        if torch.isfinite(loss):
            return
        raise InputError(where_it_stopped(engine, f"the loss is {loss.item()}"))


def where_it_stopped(engine: SupervisedTrainer, what: str) -> str:
    """Return the message of a training that stops in the middle of an epoch, and what to do.

    Args:
        engine: the trainer.
        what: is the matter, such as ``"the loss is nan"``.

    Returns:
        Names epoch, iteration, and cases and range of the batch's images.
    """
    state, image = engine.state, engine.state.output["image"]
    return (
        f"{what} in epoch {state.epoch}, iteration {state.iteration}: the batch's images{_cases(state.batch)} range "
        f"from {image.min().item():.4g} to {image.max().item():.4g}. The last whole epoch is in the checkpoint; check "
        "the data (`python -m pipeline data check`), or lower --learning_rate."
    )


def _cases(batch: Any) -> str:
    """Return which cases a batch is made of, where its items say so."""
    names = batch.get("case_id", ()) if isinstance(batch, Mapping) else ()
    return f", of {', '.join(sorted({str(name) for name in names}))}," if names else ""

"""Bounds the norm of the gradient before each step of the optimizer, and refuses one that is no number."""

from __future__ import annotations

import torch
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents

from pipeline.errors import InputError
from pipeline.handlers.finite_loss import where_it_stopped


class GradientClipping:
    """Scales the gradient down where its norm exceeds ``max_norm``; stops the training where that is NaN or infinite.

    One step along such a gradient would spoil the weights, although the loss was a number. In float16 it is usual: the
    gradient scaler passes over that step and lowers its scale.

    Args:
        max_norm: largest Euclidean norm of all gradients together, above 0.

    Raises:
        ValueError: ``max_norm`` is not positive.

    Source:
        Pascanu et al., On the difficulty of training recurrent neural networks, 2013, section 3.2.
    """

    def __init__(self, max_norm: float) -> None:
        if max_norm <= 0:
            raise ValueError(f"max_norm must be positive, got {max_norm}.")
        self.max_norm = max_norm

    def attach(self, engine: SupervisedTrainer) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: SupervisedTrainer) -> None:
        """Clip between backward and step.

        Raises:
            InputError: the norm is NaN or infinite, and no gradient scaler passes over the step; names epoch,
                iteration, and cases and range of the batch's images.
        """
        if engine.scaler is not None:
            engine.scaler.unscale_(engine.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(engine.network.parameters(), self.max_norm)
        if engine.scaler is None and not torch.isfinite(norm):
            raise InputError(where_it_stopped(engine, f"the norm of the gradient is {norm.item()}"))

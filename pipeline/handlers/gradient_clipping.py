"""Bounds the norm of the gradient before each step of the optimizer."""

from __future__ import annotations

import torch
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents


class GradientClipping:
    """Scales the gradient down where its norm exceeds ``max_norm``.

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
        """Clip between backward and step."""
        if engine.scaler is not None:
            engine.scaler.unscale_(engine.optimizer)
        torch.nn.utils.clip_grad_norm_(engine.network.parameters(), self.max_norm)

"""An average of the weights over the training, which segments better than the last of them."""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine
from ignite.handlers import EMAHandler
from torch import nn


class WeightAverage(EMAHandler):
    """Ignite's ``EMAHandler`` that a checkpoint can save and that ramps up by itself.

    The average starts as the first weights. Early in training these are worthless, so the momentum follows
    ``max(momentum, 1 / (1 + iterations))``: at first the plain mean of all weights so far, later exponential.

    Args:
        model: the network in training.
        momentum: share of the newest weights in the average after the ramp, in (0, 1): 0.002 remembers about the
            last 500 iterations.

    Raises:
        ValueError: ``momentum`` is not in (0, 1).

    Source:
        Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992;
        Tarvainen and Valpola, Mean teachers are better role models, 2017, section 3.
    """

    def __init__(self, model: nn.Module, momentum: float = 0.002) -> None:
        if not 0 < momentum < 1:
            raise ValueError(f"momentum must be in (0, 1), got {momentum}.")
        super().__init__(model, momentum=momentum, handle_buffers="update")
        self.iterations = 0

    def _update_ema_model(self, engine: Engine, name: str) -> None:
        self.iterations += 1
        setattr(engine.state, name, max(self.momentum, 1.0 / (1.0 + self.iterations)))
        super()._update_ema_model(engine, name)

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights and how many iterations they saw."""
        return {"model": self.ema_model.state_dict(), "iterations": self.iterations}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict``."""
        self.ema_model.load_state_dict(state["model"])
        self.iterations = int(state["iterations"])

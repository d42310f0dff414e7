"""A training small enough for a test: a linear network on two numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from monai.engines import SupervisedTrainer
from torch import nn


@pytest.fixture
def new_trainer() -> Callable[..., SupervisedTrainer]:
    """Make trainers of ``2 w`` towards 0 by SGD with rate 0.1: ``w`` starts as 1, loss ``4 w^2``, gradient ``8 w``."""

    def make(*handlers: Any, batches: int = 2, max_epochs: int = 1, **settings: Any) -> SupervisedTrainer:
        network = nn.Linear(1, 1, bias=False)
        nn.init.ones_(network.weight)
        defaults = {
            "device": "cpu",
            "max_epochs": max_epochs,
            "train_data_loader": [{"image": torch.full((1, 1), 2.0), "label": torch.zeros(1, 1)}] * batches,
            "network": network,
            "optimizer": torch.optim.SGD(network.parameters(), lr=0.1),
            "loss_function": nn.functional.mse_loss,
            "train_handlers": list(handlers),
            "decollate": False,
        }
        return SupervisedTrainer(**{**defaults, **settings})

    return make

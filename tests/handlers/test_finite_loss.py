from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from monai.engines import SupervisedTrainer

from pipeline.errors import InputError
from pipeline.handlers import RequireFiniteLoss


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_training_stops_before_the_step_of_the_optimizer(
    value: float, new_trainer: Callable[..., SupervisedTrainer]
) -> None:
    def loss(pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return (pred * value).sum()

    trainer = new_trainer(RequireFiniteLoss(), loss_function=loss)
    with pytest.raises(InputError, match=f"the loss is {value} in epoch 1, iteration 1: .* range from 2 to 2"):
        trainer.run()
    assert float(trainer.network.weight.detach()) == 1.0


def test_finite_loss_trains_on(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    trainer = new_trainer(RequireFiniteLoss(), batches=2)
    trainer.run()
    assert trainer.state.iteration == 2

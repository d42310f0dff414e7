from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from monai.engines import SupervisedTrainer

from pipeline.errors import InputError
from pipeline.handlers import GradientClipping


@pytest.mark.parametrize(("max_norm", "weight"), [(2.0, 0.8), (8.0, 0.2), (100.0, 0.2)])
def test_gradient_is_bounded_before_the_step(
    max_norm: float, weight: float, new_trainer: Callable[..., SupervisedTrainer]
) -> None:
    trainer = new_trainer(GradientClipping(max_norm), batches=1)
    trainer.run()  # the gradient is 8, the rate 0.1
    assert float(trainer.network.weight.detach()) == pytest.approx(weight, abs=1e-6)


def test_norm_is_that_of_all_gradients_together(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    trainer = new_trainer(network=torch.nn.Linear(1, 2))
    trainer.network.weight.grad = torch.tensor([[3.0], [0.0]])
    trainer.network.bias.grad = torch.tensor([0.0, 4.0])
    GradientClipping(1.0)(trainer)
    assert trainer.network.weight.grad.flatten().tolist() == pytest.approx([0.6, 0.0])
    assert trainer.network.bias.grad.tolist() == pytest.approx([0.0, 0.8])


def test_scaled_gradient_is_unscaled_first(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    class Halve:
        def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
            trainer.network.weight.grad /= 2

    trainer = new_trainer()
    trainer.scaler = Halve()
    trainer.network.weight.grad = torch.tensor([[6.0]])
    GradientClipping(5.0)(trainer)
    assert float(trainer.network.weight.grad) == 3.0


def loss_with_gradient(factor: float) -> Callable[..., torch.Tensor]:
    """A loss of 0 whose gradient is ``factor`` times infinity: the slope of a square root at 0."""
    return lambda pred, label: factor * (pred - pred.detach()).sum().sqrt()


@pytest.mark.parametrize(("factor", "norm"), [(1.0, "inf"), (float("nan"), "nan")])
def test_gradient_that_is_no_number_stops_the_training_before_the_step(
    factor: float, norm: str, new_trainer: Callable[..., SupervisedTrainer]
) -> None:
    trainer = new_trainer(GradientClipping(5.0), loss_function=loss_with_gradient(factor))
    trainer.data_loader = [{"image": torch.full((1, 1), 2.0), "label": torch.zeros(1, 1), "case_id": ["b_es"]}]
    message = f"the norm of the gradient is {norm} in epoch 1, iteration 1: the batch's images, of b_es, range from 2"
    with pytest.raises(InputError, match=message):
        trainer.run()
    assert float(trainer.network.weight.detach()) == 1.0


def test_infinite_gradient_is_left_to_the_scaler(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    trainer = new_trainer()
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    loss = trainer.scaler.scale(loss_with_gradient(1.0)(trainer.network(torch.full((1, 1), 2.0)), None))
    loss.backward()
    GradientClipping(5.0)(trainer)
    trainer.scaler.step(trainer.optimizer)
    trainer.scaler.update()
    assert float(trainer.network.weight.detach()) == 1.0
    assert trainer.scaler.get_scale() == 2.0


@pytest.mark.parametrize("max_norm", [0, -1.0])
def test_norm_that_is_not_positive_is_refused(max_norm: float) -> None:
    with pytest.raises(ValueError, match=f"max_norm must be positive, got {max_norm}"):
        GradientClipping(max_norm)

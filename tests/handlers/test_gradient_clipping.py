from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from monai.engines import SupervisedTrainer

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


@pytest.mark.parametrize("max_norm", [0, -1.0])
def test_norm_that_is_not_positive_is_refused(max_norm: float) -> None:
    with pytest.raises(ValueError, match=f"max_norm must be positive, got {max_norm}"):
        GradientClipping(max_norm)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from monai.engines import SupervisedTrainer

from pipeline.errors import InputError
from pipeline.handlers import RequireFiniteLoss, TrainingCheckpoint, load_checkpoint


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


def test_batch_is_named_by_its_cases(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    batch = {"image": torch.full((2, 1), 2.0), "label": torch.zeros(2, 1), "case_id": ["b_es", "a_ed"]}
    broken = new_trainer(RequireFiniteLoss(), loss_function=lambda *_: torch.tensor(float("nan")))
    broken.data_loader = [batch]
    with pytest.raises(InputError, match=r"iteration 1: the batch's images, of a_ed, b_es, range from 2 to 2"):
        broken.run()


def test_checkpoint_of_the_last_good_epoch_stays(tmp_path: Path, new_trainer: Callable[..., SupervisedTrainer]) -> None:
    def loss(pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return (pred**2).mean() * (float("nan") if trainer.state.epoch == 3 else 1.0)

    trainer = new_trainer(RequireFiniteLoss(), loss_function=loss, max_epochs=4, batches=1)
    state = SimpleNamespace(best_metric=0.5, best_metric_epoch=2)
    validator = SimpleNamespace(state=state, data_loader=[None])
    TrainingCheckpoint(tmp_path, {"network": trainer.network}, trainer.network, validator).attach(trainer)
    with pytest.raises(InputError, match="the loss is nan in epoch 3"):
        trainer.run()
    state = load_checkpoint(tmp_path / "last.pt")
    # w: 1, then twice times 1 - 0.1 * 8
    assert (state["epoch"], state["objects"]["network"]["weight"].item()) == (2, pytest.approx(0.04))
    assert load_checkpoint(tmp_path / "model.pt")["weight"].item() == pytest.approx(0.04)

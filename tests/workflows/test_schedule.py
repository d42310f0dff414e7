"""Iterations of an epoch, and the learning rate over all of them."""

from __future__ import annotations

import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset

from pipeline.errors import InputError
from pipeline.workflows import count_iterations, one_cycle


def loader(samples: int, batch_size: int) -> DataLoader:
    return DataLoader(TensorDataset(torch.zeros(samples, 1)), batch_size=batch_size, drop_last=True)


def rates(scheduler: OneCycleLR, steps: int) -> list[float]:
    """Learning rate of each step."""
    found = []
    for _ in range(steps):
        found.append(scheduler.get_last_lr()[0])
        scheduler.optimizer.step()
        scheduler.step()
    return found


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def test_whole_batches_are_counted() -> None:
    assert count_iterations(loader(samples=11, batch_size=4)) == 2


def test_epoch_without_a_whole_batch_is_refused() -> None:
    with pytest.raises(InputError, match=r"batch_size 16 exceeds the 11 slices .* give --batch_size 11 or less"):
        count_iterations(loader(samples=11, batch_size=16))


def test_schedule_is_that_of_pytorch() -> None:
    mine = one_cycle(optimizer(), 0.5, epochs=3, steps_per_epoch=4, pct_start=0.25, div_factor=10.0)
    torchs = OneCycleLR(optimizer(), 0.5, total_steps=12, pct_start=0.25, div_factor=10.0)
    assert rates(mine, 11) == rates(torchs, 11)


def test_warm_up_may_be_one_iteration() -> None:
    with pytest.raises(ZeroDivisionError):
        OneCycleLR(optimizer(), 0.5, total_steps=5, pct_start=0.2)
    found = rates(one_cycle(optimizer(), 0.5, epochs=5, steps_per_epoch=1, pct_start=0.2, div_factor=10.0), 5)
    assert found[0] == pytest.approx(0.05)
    assert found[1] == max(found)


def test_training_may_be_one_iteration() -> None:
    assert len(rates(one_cycle(optimizer(), 0.5, epochs=1, steps_per_epoch=1, pct_start=1.0 / 3), 1)) == 1

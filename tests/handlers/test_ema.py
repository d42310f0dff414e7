from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from monai.engines import SupervisedTrainer
from torch import nn

from pipeline.handlers import WeightAverage


def one_number(value: float) -> nn.Linear:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, value)
    return network


def averages(momentum: float, values: list[float], trainer: SupervisedTrainer) -> list[float]:
    """Average after each of the values that a training gives its only weight, which starts as the first."""
    network = one_number(values[0])
    average = WeightAverage(network, momentum)
    average.attach(trainer)
    found = []
    for value in values[1:]:
        nn.init.constant_(network.weight, value)
        average._update_ema_model(trainer, "ema_momentum")
        found.append(float(average.ema_model.weight.detach()))
    return found


def test_average_is_the_mean_of_the_first_weights(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    assert averages(0.01, [8.0, 4.0, 0.0, 8.0], new_trainer()) == pytest.approx([6.0, 4.0, 5.0])


def test_average_becomes_exponential(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    # momentum 1/2, then 0.4 instead of 1/3: 6, 6 * 0.6 + 0 * 0.4, 3.6 * 0.6 + 10 * 0.4
    assert averages(0.4, [8.0, 4.0, 0.0, 10.0], new_trainer()) == pytest.approx([6.0, 3.6, 6.16])


def test_average_follows_each_iteration_of_a_training(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    trainer = new_trainer(batches=2)
    average = WeightAverage(trainer.network, 0.01)
    average.attach(trainer)
    trainer.run()
    # the weight is 1, 0.2, 0.04
    assert float(average.ema_model.weight.detach()) == pytest.approx(1.24 / 3)
    assert average.iterations == 2


def test_statistics_of_normalization_are_averaged_too(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    network = nn.BatchNorm1d(1)
    average = WeightAverage(network)
    network.running_mean.fill_(4.0)
    average._update_ema_model(new_trainer(), "ema_momentum")
    assert float(average.ema_model.running_mean) == 2.0
    assert not average.ema_model.training


def test_state_goes_on(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    network, trainer = one_number(8.0), new_trainer()
    first, second = WeightAverage(network, 0.01), WeightAverage(one_number(0.0), 0.01)
    second.model = network
    nn.init.constant_(network.weight, 4.0)
    first._update_ema_model(trainer, "ema_momentum")
    second.load_state_dict(first.state_dict())
    for average in (first, second):
        average._update_ema_model(trainer, "ema_momentum")
    assert torch.equal(first.ema_model.weight, second.ema_model.weight)
    assert first.iterations == second.iterations == 2


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_momentum_outside_of_its_range_is_refused(momentum: float) -> None:
    with pytest.raises(ValueError, match=f"momentum must be in \\(0, 1\\), got {momentum}"):
        WeightAverage(one_number(0.0), momentum)

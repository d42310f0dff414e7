from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from monai.transforms import Compose, RandFlip

from pipeline.handlers import SeedEachEpoch
from pipeline.transforms.batch import RandNoiseBatchd

Draws = list[tuple[float, ...]]


def draws(seed: int, new_trainer: Callable[..., SupervisedTrainer], first_epoch: int = 1) -> Draws:
    """What torch, numpy, random and two transforms draw in each of three epochs."""
    own, composed = RandFlip(), Compose([RandNoiseBatchd("image")])
    trainer = new_trainer(SeedEachEpoch(seed, [own, composed]), max_epochs=3)
    trainer.state.epoch = first_epoch - 1
    found: Draws = []

    def draw() -> None:
        inner = composed.transforms[0].transform
        found.append((float(torch.rand(1)), np.random.rand(), random.random(), own.R.rand(), inner.R.rand()))

    trainer.add_event_handler(Events.ITERATION_STARTED(every=2), draw)
    trainer.run()
    return found


def test_same_seed_draws_the_same_in_every_epoch(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    assert draws(5, new_trainer) == draws(5, new_trainer)


def test_epochs_draw_alike_wherever_a_training_begins(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    assert draws(5, new_trainer, first_epoch=2) == draws(5, new_trainer)[1:]


def test_all_sources_epochs_and_seeds_draw_differently(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    numbers = np.array(draws(5, new_trainer) + draws(6, new_trainer))
    assert numbers.shape == (6, 5)
    assert np.unique(numbers[:, 1:].round(6)).size == 6 * 4
    assert np.unique(numbers[:, 0].round(6)).size == 6


def test_each_process_of_a_training_draws_its_own(new_trainer: Callable[..., SupervisedTrainer]) -> None:
    numbers = []
    for rank in (0, 1):
        trainer = new_trainer()
        trainer.state.rank = rank
        SeedEachEpoch(5)(trainer)
        numbers.append(float(torch.rand(1)))
    assert numbers[0] != numbers[1]


def test_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        SeedEachEpoch(-1)

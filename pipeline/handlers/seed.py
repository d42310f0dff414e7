"""Makes every epoch's random choices depend on the seed and the epoch's number alone."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.transforms import Randomizable

MAX_SEED = 2**32 - 1


class SeedEachEpoch:
    """Seeds torch, numpy, random and the given transforms at the start of each epoch.

    A training that goes on from the checkpoint of an epoch thus draws what the uninterrupted one drew.

    Args:
        seed: of the whole training.
        randomizables: transforms and datasets that carry a random state of their own.

    Raises:
        ValueError: ``seed`` is negative.
    """

    def __init__(self, seed: int, randomizables: Sequence[Randomizable] = ()) -> None:
        if seed < 0:
            raise ValueError(f"seed must be at least 0, got {seed}.")
        self.seed = seed
        self.randomizables = list(randomizables)

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Seed for the epoch that starts."""
        # far apart for neighboring seeds and epochs, and another stream for each rank
        entropy = (self.seed, engine.state.epoch, getattr(engine.state, "rank", 0))
        seeds = np.random.SeedSequence(entropy).generate_state(1 + len(self.randomizables), dtype=np.uint32)
        torch.manual_seed(int(seeds[0]))
        np.random.seed(int(seeds[0]))
        random.seed(int(seeds[0]))
        for randomizable, seed in zip(self.randomizables, seeds[1:], strict=True):
            randomizable.set_random_state(seed=int(seed) % MAX_SEED)

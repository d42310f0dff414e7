"""A random state without chance, so that results can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


class Extreme(np.random.RandomState):
    """Chooses every sample; draws one end of every range, and 1 where a normal number is asked for."""

    def __init__(self, high: bool) -> None:
        super().__init__(0)
        self.high = high

    def random_sample(self, size: Any = None) -> np.ndarray:
        return np.zeros(size)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> np.ndarray:
        return np.full(size, high if self.high else low)

    def standard_normal(self, size: Any = None) -> np.ndarray:
        return np.ones(size)


@pytest.fixture
def highest() -> np.random.RandomState:
    return Extreme(high=True)


@pytest.fixture
def lowest() -> np.random.RandomState:
    return Extreme(high=False)

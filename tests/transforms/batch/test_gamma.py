from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.transforms.batch import RandGammaBatch

IMAGE = torch.tensor([0.0, 0.25, 0.5, 1.0]).view(1, 1, 2, 2)


def test_ends_of_the_range_stay() -> None:
    curved = RandGammaBatch(prob=1.0).set_random_state(0)(IMAGE.expand(20, 1, 2, 2)).flatten(1)
    assert torch.equal(curved[:, 0], torch.zeros(20))
    assert torch.equal(curved[:, 3], torch.ones(20))
    assert ((curved[:, 1] - 0.25).abs() > 1e-4).all()


def test_curve_from_the_dark_end(highest: np.random.RandomState) -> None:
    curved = RandGammaBatch(prob=1.0, gamma=(2.0, 2.0)).set_random_state(state=highest)(IMAGE)
    assert curved.flatten().tolist() == pytest.approx([0, 0.0625, 0.25, 1])


def test_curve_from_the_bright_end(lowest: np.random.RandomState) -> None:
    curved = RandGammaBatch(prob=1.0, gamma=(2.0, 2.0)).set_random_state(state=lowest)(IMAGE)
    assert curved.flatten().tolist() == pytest.approx([0, 0.4375, 0.75, 1])


def test_intensities_outside_of_the_range_are_clamped() -> None:
    curved = RandGammaBatch(prob=1.0)(torch.tensor([-0.5, 1.5]).view(1, 1, 1, 2))
    assert curved.flatten().tolist() == [0, 1]


def test_darker_is_as_likely_as_brighter() -> None:
    curved = RandGammaBatch(prob=1.0, gamma=(0.25, 4.0)).set_random_state(0)(torch.full((2000, 1, 1, 1), 0.5))
    assert 0.45 < float((curved < 0.5).float().mean()) < 0.55


def test_exponent_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gamma must be two rising numbers of at least 0.001, got \(0, 2\)"):
        RandGammaBatch(gamma=(0, 2))

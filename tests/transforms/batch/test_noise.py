from __future__ import annotations

import pytest
import torch

from pipeline.transforms.batch import RandNoiseBatch


def test_mean_of_squares_is_that_of_the_rician_distribution() -> None:
    noisy = RandNoiseBatch(prob=1.0, std=(0.1, 0.1)).set_random_state(0)(torch.full((1, 1, 200, 200), 0.5))
    assert float(noisy.square().mean()) == pytest.approx(0.5**2 + 2 * 0.1**2, abs=3e-3)


def test_background_becomes_rayleigh_noise() -> None:
    noisy = RandNoiseBatch(prob=1.0, std=(0.1, 0.1)).set_random_state(0)(torch.zeros(1, 1, 200, 200))
    assert float(noisy.min()) >= 0
    assert float(noisy.mean()) == pytest.approx(0.1 * (torch.pi / 2) ** 0.5, abs=1e-3)


def test_each_sample_has_its_own_strength() -> None:
    noisy = RandNoiseBatch(prob=1.0, std=(0.0, 0.2)).set_random_state(0)(torch.full((50, 1, 40, 40), 1.0))
    strengths = noisy.std(dim=(1, 2, 3))
    assert strengths.min() < 0.03
    assert 0.17 < strengths.max() < 0.21


def test_no_strength_changes_nothing() -> None:
    image = torch.rand(2, 1, 5, 5)
    assert torch.allclose(RandNoiseBatch(prob=1.0, std=(0.0, 0.0))(image), image)


def test_negative_strength_is_refused() -> None:
    with pytest.raises(ValueError, match=r"std must be two rising numbers of at least 0, got \(-0.1, 0.1\)"):
        RandNoiseBatch(std=(-0.1, 0.1))

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.transforms.batch import RandBlurBatch


def point(size: int = 15, channels: int = 1) -> torch.Tensor:
    image = torch.zeros(1, channels, size, size)
    image[..., size // 2, size // 2] = 1
    return image


def test_constant_image_stays_up_to_its_border() -> None:
    image = torch.full((2, 1, 9, 7), 0.4)
    assert torch.allclose(RandBlurBatch(prob=1.0)(image), image)


def test_sum_stays() -> None:
    assert float(RandBlurBatch(prob=1.0, sigma=(1.0, 1.2))(point()).sum()) == pytest.approx(1)


def test_point_spreads_as_a_gaussian() -> None:
    profile = RandBlurBatch(prob=1.0, sigma=(1.0, 1.0))(point()).sum(dim=2)[0, 0]
    ratios = profile[8:10] / profile[7]
    assert ratios.tolist() == pytest.approx([np.exp(-0.5), np.exp(-2)], rel=1e-5)


def test_samples_have_their_own_width_and_channels_share_it() -> None:
    blurred = RandBlurBatch(prob=1.0, sigma=(0.3, 2.0)).set_random_state(0)(point(channels=2).expand(4, 2, 15, 15))
    assert torch.allclose(blurred[:, 0], blurred[:, 1])
    assert blurred[:, 0, 7, 7].unique().numel() == 4


def test_window_smaller_than_the_kernel_is_taken() -> None:
    assert RandBlurBatch(prob=1.0, sigma=(4.0, 4.0))(torch.rand(1, 1, 5, 5)).shape == (1, 1, 5, 5)


def test_width_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sigma must be two rising numbers of at least 0.001, got \(0, 1\)"):
        RandBlurBatch(sigma=(0, 1))

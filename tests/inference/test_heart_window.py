from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from pipeline.inference.heart_window import HeartWindowInferer, heart_window


class BrightIsHeart(torch.nn.Module):
    """Logits of two classes that follow the brightness; remembers the sizes it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(tuple(x.shape[2:]))
        return torch.cat([0.5 - x, x - 0.5], dim=1)


def stack(size: tuple[int, int] = (60, 50), heart: tuple[int, int] = (30, 20)) -> torch.Tensor:
    image = torch.zeros(1, 1, *size, 3)
    image[:, :, heart[0] : heart[0] + 10, heart[1] : heart[1] + 8] = 1.0
    return image


def test_second_pass_sees_a_window_around_the_heart() -> None:
    network = BrightIsHeart()
    HeartWindowInferer(-1, (16, 16), sw_batch_size=8, margin=4)(stack(), network)
    # 10 + 2 * 4 = 18 and 8 + 2 * 4 = 16, rounded up to multiples of 8
    assert network.sizes == [(64, 56), (24, 16)]


def test_equals_the_whole_slice_for_a_network_without_context() -> None:
    image = stack()
    whole = BrightIsHeart()(image[..., 1])
    torch.testing.assert_close(HeartWindowInferer(-1, (16, 16))(image, BrightIsHeart())[..., 1], whole)


def test_window_replaces_the_prediction_inside_alone() -> None:
    def network(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([0.5 - x, x - 0.5], dim=1) + (100.0 if x.shape[2] == 24 else 0.0)

    predicted = HeartWindowInferer(-1, (16, 16), margin=4)(stack(), network)
    raised = (predicted[0, 0, :, :, 0] > 50).nonzero()
    # centers (30 + 40) / 2 = 35 and (20 + 28) / 2 = 24; 24 and 16 pixels around them
    assert raised.min(dim=0).values.tolist() == [23, 16]
    assert raised.max(dim=0).values.tolist() == [46, 31]


def test_no_heart_leaves_one_pass() -> None:
    network = BrightIsHeart()
    HeartWindowInferer(-1, (16, 16), sw_batch_size=8)(torch.zeros(1, 1, 40, 40, 3), network)
    assert network.sizes == [(40, 40)]


def test_slice_smaller_than_the_window_is_padded_and_cut_back() -> None:
    network = BrightIsHeart()
    predicted = HeartWindowInferer(-1, (64, 64), sw_batch_size=8)(stack((40, 30), heart=(15, 10)), network)
    assert network.sizes == [(64, 64)]
    assert predicted.shape == (1, 2, 40, 30, 3)


def test_metadata_stays() -> None:
    image = MetaTensor(stack(), affine=torch.diag(torch.tensor([1.5, 1.5, 8.0, 1.0])))
    predicted = HeartWindowInferer(-1, (16, 16))(image, BrightIsHeart())
    torch.testing.assert_close(predicted.affine, image.affine)


def test_false_voxels_of_one_slice_do_not_move_the_window() -> None:
    heart = np.zeros((5, 60, 60), dtype=bool)
    heart[:, 20:30, 20:30] = True
    heart[0, 50:58, 50:58] = True
    assert heart_window(heart, (16, 16), margin=4, divisible_by=8) == (slice(13, 37), slice(13, 37))


def test_window_stays_inside_the_slice() -> None:
    heart = np.zeros((1, 40, 40), dtype=bool)
    heart[:, 0:4, 36:40] = True
    assert heart_window(heart, (16, 16), margin=2, divisible_by=8) == (slice(0, 16), slice(24, 40))


def test_window_that_is_the_whole_slice_is_none() -> None:
    assert heart_window(np.ones((1, 20, 20), dtype=bool), (16, 16), margin=2, divisible_by=8) is None


def test_heart_is_found_by_sliding_windows_in_a_large_slice() -> None:
    network = BrightIsHeart()
    predicted = HeartWindowInferer((32, 32), (16, 16), sw_batch_size=64, overlap=0.0, margin=4)(stack(), network)
    assert network.sizes == [(32, 32), (24, 16)]
    assert predicted.shape == (1, 2, 60, 50, 3)


def test_heart_size_must_be_positive() -> None:
    with pytest.raises(ValueError, match=r"heart_size must be positive, got \(-1, -1\)"):
        HeartWindowInferer(64, -1)


def test_margin_must_not_be_negative() -> None:
    with pytest.raises(ValueError, match="margin must not be negative, got -1"):
        HeartWindowInferer(64, 16, margin=-1)

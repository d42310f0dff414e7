from __future__ import annotations

from typing import Any

import pytest
import torch

from pipeline.transforms.batch import RandToneCurveBatch, RandToneCurveBatchd
from pipeline.transforms.batch.tone_curve import map_through_curves

RAMP = torch.linspace(0, 1, 21).view(1, 1, 3, 7).expand(50, 1, 3, 7)


def curves(**settings: Any) -> torch.Tensor:
    return RandToneCurveBatch(**{"prob": 1.0, "invert_prob": 0.0} | settings).set_random_state(0)(RAMP).flatten(1)


def test_curve_rises_from_0_to_1() -> None:
    drawn = curves()
    assert torch.allclose(drawn[:, 0], torch.zeros(50)) and torch.allclose(drawn[:, -1], torch.ones(50))
    assert (drawn.diff(dim=1) >= -1e-6).all()


def test_inverted_curve_falls_from_1_to_0() -> None:
    drawn = curves(invert_prob=1.0)
    assert torch.allclose(drawn[:, 0], torch.ones(50)) and torch.allclose(drawn[:, -1], torch.zeros(50))
    assert (drawn.diff(dim=1) <= 1e-6).all()


def test_two_points_are_a_straight_line() -> None:
    assert torch.allclose(curves(points=2), RAMP.flatten(1), atol=1e-6)


def test_free_curve_neither_rises_nor_falls() -> None:
    steps = curves(free_prob=1.0).diff(dim=1)
    assert ((steps > 0).any(dim=1) & (steps < 0).any(dim=1)).float().mean() > 0.8


def test_values_outside_the_range_are_clamped() -> None:
    changed = RandToneCurveBatch(prob=1.0, points=2, invert_prob=0.0)(torch.tensor([-3.0, 4.0]).view(1, 1, 1, 2))
    assert changed.flatten().tolist() == [0, 1]


def test_dictionary_form_is_the_same() -> None:
    transform = RandToneCurveBatchd("image", prob=1.0).set_random_state(5)
    array = RandToneCurveBatch(prob=1.0).set_random_state(5)
    assert torch.equal(transform({"image": RAMP})["image"], array(RAMP))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"points": 1}, "points must be at least 2, got 1"),
        ({"invert_prob": 2}, r"invert_prob must be in \[0, 1\], got 2"),
        ({"free_prob": -1}, r"free_prob must be in \[0, 1\], got -1"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandToneCurveBatch(**settings)


def test_each_sample_goes_through_its_own_curve() -> None:
    image = torch.tensor([[-1.0, 0.25, 0.75, 2.0]] * 2)
    curves = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.5, 0.2]])
    # 1/4 lies in the middle of the first two points, 3/4 in the middle of the last two
    expected = torch.tensor([[0.0, 0.5, 0.5, 0.0], [1.0, 0.75, 0.35, 0.2]])
    torch.testing.assert_close(map_through_curves(image, curves), expected)

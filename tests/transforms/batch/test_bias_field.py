from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.transforms.batch import RandBiasFieldBatch


def test_field_is_positive_and_multiplies() -> None:
    transform = RandBiasFieldBatch(prob=1.0, strength=(0.5, 0.5))
    field = transform.set_random_state(0)(torch.ones(3, 1, 16, 20))
    assert (field > 0).all()
    assert torch.allclose(transform.set_random_state(0)(torch.full((3, 1, 16, 20), 0.3)), 0.3 * field)


def test_strength_is_the_spread_of_the_logarithm() -> None:
    field = RandBiasFieldBatch(prob=1.0, strength=(0.3, 0.3)).set_random_state(0)(torch.ones(2000, 1, 8, 8)).log()
    corner = field[:, 0, 0, 0]  # a node of the coarse grid
    assert float(corner.mean()) == pytest.approx(0, abs=0.03)
    assert float(corner.std()) == pytest.approx(0.3, abs=0.02)


def test_field_is_smooth() -> None:
    field = RandBiasFieldBatch(prob=1.0, strength=(0.4, 0.4), grid_size=3).set_random_state(0)(torch.ones(5, 1, 64, 64))
    assert field.log().diff(dim=2).abs().max() < 0.12  # the nodes, 31 pixels apart, differ by up to 3 * 0.4 * 1.4
    assert field.log().std() > 0.1


def test_channels_share_the_field() -> None:
    field = RandBiasFieldBatch(prob=1.0, strength=(0.4, 0.4))(torch.ones(1, 2, 8, 8))
    assert torch.equal(field[:, 0], field[:, 1])


def test_no_strength_changes_nothing(lowest: np.random.RandomState) -> None:
    image = torch.rand(2, 1, 8, 8)
    assert torch.equal(RandBiasFieldBatch(prob=1.0, strength=(0.0, 0.4)).set_random_state(state=lowest)(image), image)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strength": (0.4, 0.1)}, "strength must be two rising numbers of at least 0"),
        ({"grid_size": 1}, "grid_size must be at least 2, got 1"),
    ],
)
def test_wrong_arguments_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandBiasFieldBatch(**settings)

from __future__ import annotations

from typing import Any

import pytest
import torch

from pipeline.networks.transformer import TransformerBottleneck


@pytest.mark.parametrize(("spatial_dims", "size"), [(2, (5, 7)), (2, (1, 1)), (3, (4, 3, 2))])
def test_map_of_any_size_keeps_its_shape(spatial_dims: int, size: tuple[int, ...]) -> None:
    x = torch.rand(2, 8, *size)
    assert TransformerBottleneck(spatial_dims, 8)(x).shape == x.shape


def test_every_position_sees_every_other() -> None:
    x = torch.rand(1, 8, 6, 9, requires_grad=True)
    TransformerBottleneck(2, 8, num_layers=1).eval()(x)[0, 0, 0, 0].backward()
    assert x.grad is not None
    assert (x.grad[0].abs().sum(dim=0) > 0).all()


def test_places_are_told_apart() -> None:
    bottleneck = TransformerBottleneck(2, 8).eval()
    out = bottleneck(torch.ones(1, 8, 5, 5))
    assert not torch.allclose(out[0, :, 0, 0], out[0, :, 2, 2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_layers": 0}, "num_layers must be at least 1, got 0"),
        ({"num_heads": 3}, "num_heads must divide channels, got 3 and 8"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransformerBottleneck(2, 8, **settings)

from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline.inference.mixed_precision import BFloat16Network, MixedPrecisionInferer


class Kept(nn.Conv2d):
    """Keeps the type of its last output."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        output = super().forward(input)
        self.dtype = output.dtype
        return output


@pytest.fixture
def convolution() -> Kept:
    """Multiplies by 1 + 1/512, which bfloat16 with its 8 binary digits rounds to 1."""
    convolution = Kept(1, 1, 1, bias=False)
    nn.init.constant_(convolution.weight, 1 + 1 / 512)
    return convolution


def test_convolution_is_computed_in_bfloat16(convolution: Kept) -> None:
    output = BFloat16Network(convolution)(torch.ones(1, 1, 2, 3))
    assert convolution.dtype is torch.bfloat16
    assert output.dtype is torch.float32
    assert torch.equal(output, torch.ones(1, 1, 2, 3))


def test_network_that_predicts_stays_in_evaluation_mode() -> None:
    dropout = nn.Dropout(0.9)
    network = BFloat16Network(dropout).train()
    assert not network.training
    assert not dropout.training
    assert network(torch.ones(100)).tolist() == [1.0] * 100


def test_weights_and_their_gradients_stay_in_float32(convolution: Kept) -> None:
    MixedPrecisionInferer()(torch.ones(1, 1, 2, 3), convolution).sum().backward()
    assert convolution.dtype is torch.bfloat16
    assert convolution.weight.item() == 1 + 1 / 512
    assert convolution.weight.grad is not None
    assert convolution.weight.grad.dtype is torch.float32
    assert convolution.weight.grad.item() == 6


def test_switched_off_it_is_the_simple_inferer(convolution: Kept) -> None:
    output = MixedPrecisionInferer(enabled=False)(torch.ones(1, 1, 2, 3), convolution)
    assert torch.equal(output, torch.full((1, 1, 2, 3), 1 + 1 / 512))


def test_further_arguments_reach_the_network() -> None:
    class Scaling(nn.Module):
        def forward(self, x: torch.Tensor, factor: float) -> torch.Tensor:
            return x * factor

    assert MixedPrecisionInferer()(torch.ones(2), Scaling(), factor=3.0).tolist() == [3, 3]

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from monai.networks.nets import UNet
from torch import nn

from pipeline.inference.backends.folding import fold_batch_norm
from pipeline.networks import ASPPNet

NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)
CONVOLUTIONS = {2: (nn.Conv2d, nn.BatchNorm2d), 3: (nn.Conv3d, nn.BatchNorm3d)}


def norms_of(network: nn.Module) -> list[nn.Module]:
    return [layer for layer in network.modules() if isinstance(layer, NORMS)]


@pytest.mark.parametrize("dims", [2, 3])
def test_convolution_gets_scale_and_offset_of_its_normalization(dims: int) -> None:
    conv, norm = CONVOLUTIONS[dims]
    block = nn.Sequential(conv(1, 1, 1, bias=False), norm(1, eps=0.0))
    values = {"0.weight": 3.0, "1.weight": 2.0, "1.bias": 1.0, "1.running_mean": 5.0, "1.running_var": 4.0}
    state = block.state_dict()
    block.load_state_dict(state | {key: torch.full_like(state[key], value) for key, value in values.items()})
    folded = fold_batch_norm(block)[0]
    # 2 * (3 * x - 5) / sqrt(4) + 1 = 3 * x - 4
    assert (folded.weight.item(), folded.bias.item()) == (pytest.approx(3.0), pytest.approx(-4.0))


def test_every_normalization_of_the_network_is_folded(network: nn.Module) -> None:
    assert len(norms_of(network)) == 13
    assert norms_of(fold_batch_norm(network)) == []


def test_folded_network_computes_the_same(network: nn.Module, images: torch.Tensor) -> None:
    torch.testing.assert_close(fold_batch_norm(network)(images), network(images), rtol=1e-5, atol=1e-5)


def test_network_itself_stays(network: nn.Module) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    fold_batch_norm(network)
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


def test_order_of_the_weights_in_memory_stays(network: nn.Module) -> None:
    weights = [layer.weight for layer in fold_batch_norm(network).modules() if isinstance(layer, nn.Conv2d)]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


def test_folded_network_cannot_be_trained(network: nn.Module) -> None:
    assert not any(parameter.requires_grad for parameter in fold_batch_norm(network).parameters())


def test_dropout_of_a_network_in_training_is_off() -> None:
    block = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.Dropout(0.9)).train()
    assert not fold_batch_norm(block).training


class Backwards(nn.Sequential):
    """Calls its children from the last to the first."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in reversed(self):
            x = layer(x)
        return x


def test_neighbors_that_do_not_feed_each_other_stay() -> None:
    assert len(norms_of(fold_batch_norm(Backwards(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))))) == 1


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(1, 1, 1), nn.ReLU(), nn.BatchNorm2d(1)],
        [nn.BatchNorm2d(1), nn.Conv2d(1, 1, 1)],
        [nn.ConvTranspose2d(1, 1, 1), nn.BatchNorm2d(1)],
    ],
    ids=["not behind", "before", "transposed"],
)
def test_normalization_of_something_else_stays(layers: Sequence[nn.Module]) -> None:
    assert len(norms_of(fold_batch_norm(nn.Sequential(*layers)))) == 1


@pytest.mark.parametrize(
    "settings",
    [{"attention_gates": True}, {"transformer_layers": 1, "transformer_heads": 2}, {"strides": (2, 2)}],
    ids=str,
)
def test_variants_compute_the_same(settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    defaults = {"channels": (4, 6), "strides": (1, 2), "num_res_units": (1, 1), "dilations": (1, 2)}
    net, images = ASPPNet(**{**defaults, **settings}).eval(), torch.rand(2, 1, 13, 17)
    torch.testing.assert_close(fold_batch_norm(net)(images), net(images), rtol=1e-4, atol=1e-4)


def test_network_of_monai_computes_the_same() -> None:
    net = UNet(2, 1, 4, (4, 8), (2,), norm="batch").eval()
    images = torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(fold_batch_norm(net)(images), net(images), rtol=1e-5, atol=1e-5)

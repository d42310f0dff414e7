from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from pipeline.inference.backends.folding import fold_batch_norm
from pipeline.inference.backends.fusing import FusedConvolution, FusedResidualUnit, can_fuse, fuse_activations
from pipeline.networks import ASPPNet, MeanEnsemble
from pipeline.networks.aspp_net import ResidualUnit

ACTIVATIONS = (nn.ReLU, nn.PReLU, nn.LeakyReLU)


def kinds_of(network: nn.Module, kinds: type[nn.Module] | tuple[type[nn.Module], ...]) -> list[nn.Module]:
    return [layer for layer in network.modules() if isinstance(layer, kinds)]


def constant(conv: nn.Module, weight: float, bias: float) -> nn.Module:
    """Give a convolution one weight and one bias for all channels."""
    with torch.no_grad():
        for parameter, value in zip(conv.parameters(), (weight, bias), strict=False):
            parameter.fill_(value)
    return conv


def folded_unit(**settings: int) -> nn.Module:
    torch.manual_seed(0)
    return fold_batch_norm(ResidualUnit(2, **settings).eval())


def test_processors_with_onednn_fuse_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_fuse("cpu")
    assert not can_fuse("cuda")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not can_fuse("cpu")


@pytest.mark.parametrize("supported", [True, False])
def test_bfloat16_is_fused_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch, supported: bool) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported)
    assert can_fuse("cpu", torch.bfloat16) is supported
    assert can_fuse("cpu", torch.float32)


def test_convolution_takes_in_the_relu_after_it() -> None:
    # 2 x - 3 of -1, 1, 2: -5, -1, 1
    block = nn.Sequential(constant(nn.Conv2d(1, 1, 1), 2.0, -3.0), nn.Identity(), nn.ReLU())
    fused = fuse_activations(block)
    x = torch.tensor([-1.0, 1.0, 2.0]).reshape(1, 1, 1, 3)
    assert fused(x).flatten().tolist() == [0.0, 0.0, 1.0]
    assert (len(kinds_of(fused, FusedConvolution)), kinds_of(fused, nn.ReLU)) == (1, [])


def test_convolution_without_relu_keeps_what_is_negative() -> None:
    fused = fuse_activations(nn.Sequential(constant(nn.Conv2d(1, 1, 1), 2.0, -3.0)))
    assert fused(torch.zeros(1, 1, 1, 1)).item() == -3.0


def test_shortcut_is_added_before_the_relu_and_the_input_stays() -> None:
    unit = fold_batch_norm(ResidualUnit(2, 1, 1, kernel_size=1).eval())
    constant(unit.body[0][0], 1.0, 0.0)
    constant(unit.body[1][0], -3.0, 1.0)
    fused = fuse_activations(unit)
    assert kinds_of(fused, FusedResidualUnit) == [fused]
    x = torch.tensor([-4.0, 0.25, 2.0]).reshape(1, 1, 1, 3)
    # relu(1 - 3 relu(x) + x): 1 - 0 - 4 < 0, 1 - 0.75 + 0.25, 1 - 6 + 2 < 0
    assert fused(x).flatten().tolist() == [0.0, 0.5, 0.0]
    assert x.flatten().tolist() == [-4.0, 0.25, 2.0]


@pytest.mark.parametrize(
    "settings",
    [
        {"in_channels": 4, "out_channels": 4},
        {"in_channels": 3, "out_channels": 5},
        {"in_channels": 4, "out_channels": 4, "stride": 2},
        {"in_channels": 3, "out_channels": 5, "stride": 2},
    ],
)
def test_residual_unit_computes_the_same_on_odd_sizes(settings: dict[str, int]) -> None:
    unit = folded_unit(**settings)
    x = torch.randn(2, settings["in_channels"], 9, 7)
    torch.testing.assert_close(fuse_activations(unit)(x), unit(x), rtol=1e-5, atol=1e-5)


def test_network_computes_the_same(network: nn.Module, images: torch.Tensor) -> None:
    fused = fuse_activations(fold_batch_norm(network))
    torch.testing.assert_close(fused(images), network(images), rtol=1e-4, atol=1e-4)
    assert kinds_of(fused, (nn.ReLU, nn.Conv2d, ResidualUnit)) == []


def test_network_in_3d_computes_the_same() -> None:
    torch.manual_seed(0)
    network = ASPPNet(
        3, channels=(4, 8), strides=((1, 1, 1), (2, 2, 1)), num_res_units=(1, 1), kernel_size=(3, 3), dilations=(2,)
    ).eval()
    x = torch.randn(1, 1, 12, 10, 5)
    fused = fuse_activations(fold_batch_norm(network))
    torch.testing.assert_close(fused(x), network(x), rtol=1e-4, atol=1e-4)
    assert kinds_of(fused, nn.Conv3d) == []


@pytest.mark.parametrize("variant", [{"attention_gates": True}, {"transformer_layers": 1}, {"skips": False}])
def test_variants_compute_the_same(variant: dict[str, int]) -> None:
    torch.manual_seed(0)
    sizes = {"channels": (8, 16), "strides": (1, 2), "num_res_units": (1, 2), "dilations": (2,)}
    network = ASPPNet(2, **sizes, **variant).eval()
    x = torch.randn(2, 1, 24, 16)
    fused = fuse_activations(fold_batch_norm(network))
    torch.testing.assert_close(fused(x), network(x), rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected, found = network(x), fuse_activations(fold_batch_norm(network), torch.bfloat16)(x)
    # as far apart as either is from float32
    tolerance = 2 * (expected.float() - network(x)).abs().max().item()
    torch.testing.assert_close(found.float(), network(x), rtol=0, atol=tolerance)


def test_ensemble_of_networks_is_fused_as_a_whole(network: nn.Module, images: torch.Tensor) -> None:
    ensemble = MeanEnsemble([network, network]).eval()
    fused = fuse_activations(fold_batch_norm(ensemble))
    torch.testing.assert_close(fused(images), ensemble(images), rtol=1e-4, atol=1e-4)
    assert kinds_of(fused, nn.Conv2d) == []


def test_in_bfloat16_weights_and_output_are_bfloat16_and_sums_are_not() -> None:
    # of 512 ones, which a running sum in bfloat16 would give up at 256
    conv = constant(nn.Conv2d(512, 1, 1, bias=False), 1.0, 0.0)
    x = torch.full((1, 512, 1, 1), 1.0)
    fused = fuse_activations(conv, torch.bfloat16)
    assert fused(x).dtype == torch.bfloat16
    assert fused(x).item() == 512.0


def test_network_itself_stays(network: nn.Module) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    fuse_activations(network)
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), nn.ReLU()],
        [nn.Conv2d(1, 1, 3, padding="same"), nn.ReLU()],
        [nn.Conv2d(1, 1, 1), nn.PReLU()],
        [nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.ReLU()],
        [nn.ReLU(), nn.Conv2d(1, 1, 1)],
    ],
)
def test_what_onednn_cannot_take_in_stays(layers: Sequence[nn.Module]) -> None:
    block = nn.Sequential(*layers).eval()
    fused = fuse_activations(block)
    assert len(kinds_of(fused, ACTIVATIONS)) == 1
    x = torch.randn(2, 1, 5, 4)
    torch.testing.assert_close(fused(x), block(x), rtol=1e-5, atol=1e-5)


def test_unit_with_another_activation_keeps_its_way() -> None:
    unit = fold_batch_norm(ResidualUnit(2, 2, 2, act="prelu").eval())
    fused = fuse_activations(unit)
    x = torch.randn(1, 2, 5, 4)
    torch.testing.assert_close(fused(x), unit(x), rtol=1e-5, atol=1e-5)
    assert kinds_of(fused, FusedResidualUnit) == []


class Doubled(ResidualUnit):
    """A unit of another kind."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def test_unit_of_another_kind_keeps_its_way() -> None:
    unit = fold_batch_norm(Doubled(2, 2, 2).eval())
    x = torch.randn(1, 2, 5, 4)
    torch.testing.assert_close(fuse_activations(unit)(x), unit(x), rtol=1e-5, atol=1e-5)


def test_unit_whose_normalization_is_not_folded_keeps_its_way() -> None:
    unit = ResidualUnit(2, 2, 2).eval()
    fused = fuse_activations(unit)
    x = torch.randn(1, 2, 5, 4)
    torch.testing.assert_close(fused(x), unit(x), rtol=1e-5, atol=1e-5)
    assert kinds_of(fused, FusedResidualUnit) == []


class Backwards(nn.Sequential):
    """Calls its children from the last to the first."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in reversed(self):
            x = layer(x)
        return x


def test_neighbors_that_do_not_feed_each_other_stay_apart() -> None:
    block = Backwards(constant(nn.Conv2d(1, 1, 1), -1.0, 0.0), nn.ReLU())
    assert fuse_activations(block)(torch.full((1, 1, 1, 1), 2.0)).item() == -2.0


def test_it_cannot_be_trained(network: nn.Module, images: torch.Tensor) -> None:
    assert not fuse_activations(fold_batch_norm(network))(images).requires_grad


def test_unit_adds_in_bfloat16_whatever_the_order_in_memory() -> None:
    unit = folded_unit(in_channels=4, out_channels=4)
    x = torch.randn(2, 4, 9, 7)
    fused = fuse_activations(unit, torch.bfloat16)(x.contiguous())
    torch.testing.assert_close(fused.float(), unit(x), rtol=0.05, atol=0.05)

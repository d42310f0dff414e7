from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from pipeline.networks import ASPPNet

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "cardiac_sax_segmentation"
NORMALIZATIONS = (nn.BatchNorm2d, nn.BatchNorm3d)
HEART_MM = 150.0  # the largest heart in ACDC measures 152 x 138 mm
PIXEL_MM = 1.5
THICK_SLICES = {"spatial_dims": 3, "strides": (1, (2, 2, 1)), "kernel_size": ((3, 3, 1), 3)}


def small(**settings: Any) -> ASPPNet:
    """Two stages of 4 and 6 channels; the smallest input is 5 pixels along each axis."""
    defaults = {"channels": (4, 6), "strides": (1, 2), "num_res_units": (1, 1), "dilations": (1, 2)}
    return ASPPNet(**{**defaults, **settings}).eval()


def narrow(**settings: Any) -> ASPPNet:
    """The default network with few channels: the receptive field is the same."""
    return ASPPNet(**{"channels": (2, 2, 2, 2), "image_pooling": False, **settings})


@pytest.mark.parametrize("size", [(5, 5), (16, 16), (13, 17), (6, 31)])
@pytest.mark.parametrize("skips", [True, False])
def test_logits_have_the_size_of_the_input(size: tuple[int, int], skips: bool) -> None:
    assert small(skips=skips, in_channels=2, out_channels=3)(torch.rand(2, 2, *size)).shape == (2, 3, *size)


@pytest.mark.parametrize("size", [(5, 5, 1), (9, 12, 3), (8, 8, 8)])
def test_volumes_of_thick_slices_keep_their_size(size: tuple[int, int, int]) -> None:
    assert small(**THICK_SLICES)(torch.rand(1, 1, *size)).shape == (1, 4, *size)


def test_slices_are_never_pooled_away() -> None:
    net = small(**THICK_SLICES)
    features = net.encoder[1](net.encoder[0](torch.rand(1, 1, 8, 8, 3)))
    assert features.shape == (1, 6, 4, 4, 3)


@pytest.mark.parametrize("stride", [2, 3, 4])
@pytest.mark.parametrize("size", [9, 10, 11, 12, 13])
def test_shortcut_and_convolutions_shrink_alike(stride: int, size: int) -> None:
    assert small(strides=(1, stride), dilations=(1,))(torch.rand(1, 1, size, 9)).shape == (1, 4, size, 9)


def test_stride_of_the_first_stage_is_undone_too() -> None:
    assert small(strides=(2, 2))(torch.rand(1, 1, 21, 18)).shape == (1, 4, 21, 18)


@pytest.mark.parametrize(
    ("settings", "smallest"),
    [
        ({}, [5, 5]),  # dilation 2 needs 3 positions, stride 2: the fifth pixel begins the third
        ({"dilations": ()}, [1, 1]),
        ({"dilations": ((1, 3),)}, [1, 7]),
        ({"strides": (2, 3)}, [13, 13]),
        (THICK_SLICES, [5, 5, 1]),
    ],
)
def test_smallest_input_is_taken_and_the_next_smaller_refused(settings: dict[str, Any], smallest: list[int]) -> None:
    net = small(**settings)
    assert net.min_spatial_size == smallest
    assert net(torch.rand(1, 1, *smallest)).shape == (1, 4, *smallest)
    with pytest.raises(ValueError, match=rf"at least \[{smallest[0]}, .*, got \[{smallest[0]}, {smallest[1] - 1}"):
        net(torch.rand(1, 1, smallest[0], smallest[1] - 1, *smallest[2:]))


def test_defaults_say_which_sizes_they_take() -> None:
    net = ASPPNet()
    assert net.total_strides == [8, 8]
    assert net.min_spatial_size == [73, 73]  # dilation 9 needs 10 positions, 8 pixels apart
    assert sum(parameter.numel() for parameter in net.parameters()) == 1_490_404


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"spatial_dims": 4}, "spatial_dims must be 2 or 3, got 4"),
        ({"strides": (1, 2, 2)}, "must have one entry a stage, got .*'channels': 2, 'strides': 3"),
        ({"num_res_units": (1,)}, "one entry a stage, got .*'num_res_units': 1"),
        ({"kernel_size": (3, 3, 1)}, "one entry a stage, got .*'kernel_size': 3"),
        ({"channels": (), "strides": (), "num_res_units": ()}, "one entry a stage, got .*'channels': 0"),
        ({"channels": (4, 0)}, r"must be at least 1, got \[4, 0\] and \[1, 1\]"),
        ({"num_res_units": (0, 1)}, r"must be at least 1, got \[4, 6\] and \[0, 1\]"),
        ({"strides": (1, 0)}, r"strides must be a number of at least 1 or 2 of them \(spatial_dims\), got 0"),
        ({"strides": (1, (2, 2, 1))}, r"strides must be .* 2 of them \(spatial_dims\), got \(2, 2, 1\)"),
        ({"kernel_size": (3, 2)}, "kernel_size must be odd"),
        ({"kernel_size": (3, (3, 3, 1))}, r"kernel_size must be .* 2 of them \(spatial_dims\), got \(3, 3, 1\)"),
        ({"dilations": (0,)}, "dilation must be a number of at least 1"),
    ],
)
def test_wrong_arguments_are_refused_at_construction(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**settings)


@pytest.mark.parametrize("settings", [{}, THICK_SLICES])
def test_normalization_follows_every_convolution_but_the_head(settings: dict[str, Any]) -> None:
    net = small(**settings)
    layers = [layer for layer in net.modules() if isinstance(layer, (nn.Conv2d, nn.Conv3d, *NORMALIZATIONS))]
    pairs = zip(layers, [*layers[1:], None], strict=True)
    bare = [
        layer
        for layer, following in pairs
        if not isinstance(layer, NORMALIZATIONS) and not isinstance(following, NORMALIZATIONS)
    ]
    assert bare == [net.head]


@pytest.mark.parametrize("reads", [True, False])
def test_encoder_maps_reach_the_decoder_only_by_skips(reads: bool) -> None:
    stage = small(skips=reads).decoder[0]
    skip = torch.rand(1, 4, 8, 8, requires_grad=True)
    out = stage(torch.rand(1, 6, 4, 4), skip).sum()
    assert (torch.autograd.grad(out, skip, allow_unused=True)[0] is not None) is reads


def test_same_input_gives_same_logits_when_predicting() -> None:
    net, image = small(dropout=0.5), torch.rand(1, 1, 9, 9)
    assert torch.equal(net(image), net(image))


def test_batch_is_predicted_sample_by_sample() -> None:
    net, images = small(), torch.rand(3, 1, 9, 9)
    assert torch.allclose(net(images), torch.cat([net(image[None]) for image in images]), atol=1e-6)


@pytest.mark.parametrize(("settings", "size"), [({}, (9, 12)), (THICK_SLICES, (9, 12, 2))])
def test_scripted_network_equals_eager(settings: dict[str, Any], size: tuple[int, ...]) -> None:
    net = small(**settings)
    image = torch.rand(2, 1, *size)
    assert torch.equal(torch.jit.script(net)(image), net(image))


def test_scripted_network_refuses_small_inputs_too() -> None:
    with pytest.raises(torch.jit.Error, match=r"at least \[5, 5\] positions"):
        torch.jit.script(small())(torch.rand(1, 1, 4, 9))


def test_first_cross_entropy_is_that_of_guessing() -> None:
    torch.manual_seed(0)
    logits = ASPPNet().train()(torch.rand(2, 1, 80, 80))
    loss = nn.functional.cross_entropy(logits, torch.randint(4, (2, 80, 80)))
    assert abs(float(loss.detach()) - math.log(4)) < 0.2


def test_first_activations_neither_vanish_nor_explode() -> None:
    net = ASPPNet().train()
    stds: list[float] = []
    for stage in [*net.encoder, net.aspp, *net.decoder]:
        stage.register_forward_hook(lambda *call: stds.append(float(call[2].detach().std())))
    net(torch.rand(2, 1, 80, 80))
    assert min(stds) > 0.2
    assert max(stds) < 2


def test_every_weight_gets_a_gradient() -> None:
    net = small(dropout=0.1).train()
    net(torch.rand(2, 1, 12, 12)).square().mean().backward()
    assert [name for name, parameter in net.named_parameters() if not parameter.grad.abs().sum() > 0] == []


def test_image_pooling_trains_on_two_samples_but_not_on_one() -> None:
    net = small().train()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        net(torch.rand(1, 1, 9, 9))
    assert net(torch.rand(2, 1, 9, 9)).shape == (2, 4, 9, 9)


def transparent(net: nn.Module) -> nn.Module:
    """Make all weights positive: no activation is off and nothing cancels, so that gradients show all that is read."""
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.1)
    return net.double().eval()


def widths(stages: nn.Module, channels: int = 1) -> set[int]:
    """Widths, in pixels, of what eight outputs side by side read of the input."""
    image = torch.ones(1, channels, 80, 400, dtype=torch.float64, requires_grad=True)
    out = stages(image)
    row, column = out.shape[2] // 2, out.shape[3] // 2
    found = set()
    for offset in range(8):
        (gradient,) = torch.autograd.grad(out[0, 0, row, column + offset], image, retain_graph=True)
        read = torch.nonzero(gradient[0, 0].sum(dim=0)).flatten()
        found.add(int(read[-1] - read[0]) + 1)
    return found


def test_receptive_fields_of_the_encoder_are_those_of_the_docstring() -> None:
    net = transparent(narrow())
    assert [widths(nn.Sequential(*net.encoder[:depth])) for depth in (1, 2, 3, 4)] == [{5}, {11}, {39}, {95}]
    assert widths(nn.Sequential(*net.encoder, net.aspp)) == {239}


def test_receptive_field_with_aspp_covers_the_heart_from_each_of_its_pixels() -> None:
    found = widths(transparent(narrow()))
    assert found == {263, 271}
    assert min(found) * PIXEL_MM >= 2 * HEART_MM  # 394 mm


def test_receptive_field_without_aspp_does_not() -> None:
    found = widths(transparent(narrow(dilations=())))
    assert found == {119, 127}
    assert max(found) * PIXEL_MM < 2 * HEART_MM  # 190 mm: from one side of the heart it ends 95 mm away


def test_image_pooling_reads_the_whole_image() -> None:
    assert widths(transparent(narrow(dilations=(), image_pooling=True))) == {400}


def test_defaults_are_the_bundles() -> None:
    settings = yaml.safe_load((BUNDLE / "configs" / "train.yaml").read_text(encoding="utf-8"))["network_def"]
    defaults = {name: argument.default for name, argument in inspect.signature(ASPPNet).parameters.items()}
    for name in settings.keys() - {"_target_", "spatial_dims", "in_channels"}:
        assert defaults[name] == (tuple(settings[name]) if isinstance(settings[name], list) else settings[name])


VARIANTS = [{"attention_gates": True}, {"transformer_layers": 2, "transformer_heads": 2}]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("settings", [{}, THICK_SLICES])
def test_variants_keep_the_size(variant: dict[str, Any], settings: dict[str, Any]) -> None:
    size = (9, 12, 3)[: settings.get("spatial_dims", 2)]
    assert small(**settings, **variant)(torch.rand(1, 1, *size)).shape == (1, 4, *size)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_script(variant: dict[str, Any]) -> None:
    net, x = small(**variant), torch.rand(1, 1, 13, 17)
    torch.testing.assert_close(torch.jit.script(net)(x), net(x))


def test_attention_gates_need_skips() -> None:
    with pytest.raises(ValueError, match="attention_gates need skips=True"):
        small(attention_gates=True, skips=False)

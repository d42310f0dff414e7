from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pipeline.networks.aspp import ASPP, ImagePooling, conv_norm_act, in_plane_dilation, per_axis, resize_to


def aspp(**settings: Any) -> ASPP:
    return ASPP(**{"spatial_dims": 2, "in_channels": 3, "out_channels": 4, **settings}).eval()


@pytest.mark.parametrize("dilations", [(), (2,), (1, 2, 3, 4, 5), ((2, 3),)])
@pytest.mark.parametrize("image_pooling", [True, False])
def test_any_number_of_branches_keeps_the_size(dilations: tuple, image_pooling: bool) -> None:
    net = aspp(dilations=dilations, image_pooling=image_pooling)
    assert len(net.branches) == 1 + len(dilations) + image_pooling
    assert net(torch.rand(2, 3, 7, 9)).shape == (2, 4, 7, 9)


def test_branch_channels_are_those_before_the_projection() -> None:
    net = aspp(dilations=(1, 2), branch_channels=5)
    assert net.project[0][0].weight.shape == (4, 5 * 4, 1, 1)


@pytest.mark.parametrize(
    ("dilation", "spatial_dims", "expected"),
    [(3, 2, (3, 3)), (3, 3, (3, 3, 1)), ((2, 4, 6), 3, (2, 4, 6)), ([1, 2], 2, (1, 2))],
)
def test_a_number_dilates_in_plane_only(dilation: Any, spatial_dims: int, expected: tuple[int, ...]) -> None:
    assert in_plane_dilation(dilation, spatial_dims) == expected


def test_dilated_branch_reaches_as_far_as_its_dilation() -> None:
    branch = aspp(dilations=(3,)).branches[1]
    image = torch.zeros(1, 3, 9, 9, requires_grad=True)
    (gradient,) = torch.autograd.grad(branch[0](image)[0, 0, 4, 4], image)
    assert torch.nonzero(gradient[0, 0]).tolist() == [[i, j] for i in (1, 4, 7) for j in (1, 4, 7)]


def test_image_pooling_is_the_projected_mean_spread_over_the_map() -> None:
    pooling = ImagePooling(2, 2, 1, act="relu").eval()
    nn.init.constant_(pooling.project[0].weight, 0.5)
    out = pooling(torch.stack([torch.arange(6.0).view(2, 3), torch.full((2, 3), 3.0)])[None])
    assert out.shape == (1, 1, 2, 3)
    # means 2.5 and 3, each with weight 0.5; the normalization divides by sqrt(1 + 1e-5)
    assert torch.allclose(out, torch.tensor(2.75), atol=1e-4)


@pytest.mark.parametrize(
    ("size", "axis", "positions"),
    [((6, 7), 0, 6), ((7, 6), 1, 6)],
)
def test_dilation_beyond_the_map_is_refused(size: tuple[int, int], axis: int, positions: int) -> None:
    with pytest.raises(ValueError, match=f"axis {axis} has {positions} positions, the largest dilation is 6"):
        aspp(dilations=(2, 6))(torch.rand(1, 3, *size))


def test_largest_dilation_that_fits_is_taken() -> None:
    assert aspp(dilations=(2, 6))(torch.rand(1, 3, 7, 7)).shape == (1, 4, 7, 7)


@pytest.mark.parametrize(("kernel_size", "min_size"), [(3, [6, 6, 1]), ((3, 3, 1), [6, 6, 1]), ((1, 3, 3), [1, 6, 1])])
def test_axes_without_dilation_take_any_size(kernel_size: Any, min_size: list[int]) -> None:
    net = aspp(spatial_dims=3, dilations=(5,), kernel_size=kernel_size)
    assert net.min_size == min_size
    assert net(torch.rand(1, 3, *min_size)).shape == (1, 4, *min_size)


def test_in_plane_kernel_leaves_slices_apart() -> None:
    net = aspp(spatial_dims=3, dilations=(2,), kernel_size=(3, 3, 1), image_pooling=False)
    volume = torch.rand(1, 3, 5, 5, 4)
    alone = torch.cat([net(volume[..., z : z + 1]) for z in range(4)], dim=-1)
    assert torch.allclose(net(volume), alone, atol=1e-6)


def test_dropout_drops_whole_channels_in_training_only() -> None:
    net = aspp(out_channels=64, dropout=0.5)
    image = torch.rand(2, 3, 12, 12)
    assert torch.equal(net(image), net(image))
    dropped = (net.train()(image) == 0).flatten(2).all(dim=2)
    assert 30 < dropped.sum() < 98  # of 128; 64 expected, standard deviation 5.7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"spatial_dims": 1}, "spatial_dims must be 2 or 3, got 1"),
        ({"dilations": (0,)}, r"dilation must be a number of at least 1 or 2 of them \(spatial_dims\), got \(0, 0\)"),
        ({"dilations": ((1, 2, 3),)}, r"dilation must be .* 2 of them \(spatial_dims\), got \(1, 2, 3\)"),
        ({"kernel_size": (3, 3, 1)}, r"kernel_size must be .* 2 of them \(spatial_dims\), got \(3, 3, 1\)"),
        ({"kernel_size": 4}, "kernel_size must be odd, so that padding keeps the size, got 4"),
    ],
)
def test_wrong_arguments_are_refused_at_construction(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        aspp(**settings)


def test_per_axis_names_the_argument() -> None:
    with pytest.raises(ValueError, match="strides must be a number of at least 1 or 3 of them"):
        per_axis("strides", (2, 2, 0), 3)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "expected"), [(3, 1, 4, 10), (5, 2, 1, 5), (1, 3, 1, 4), (3, 3, 2, 4)]
)
def test_padding_leaves_the_shrinking_to_the_stride(kernel: int, stride: int, dilation: int, expected: int) -> None:
    block = conv_norm_act(2, 1, 1, kernel, stride, dilation)
    assert block(torch.rand(2, 1, 10, 10)).shape == (2, 1, expected, expected)


def test_activation_is_left_out_on_request() -> None:
    assert [type(layer) for layer in conv_norm_act(2, 1, 1, act=None)] == [nn.Conv2d, nn.BatchNorm2d]


def test_map_of_the_right_size_passes_untouched() -> None:
    image = torch.rand(1, 1, 4, 5)
    assert resize_to(image, [4, 5], "bilinear") is image
    assert resize_to(image, [8, 5], "bilinear").shape == (1, 1, 8, 5)

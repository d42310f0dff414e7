"""Atrous spatial pyramid pooling: one feature map seen at several scales at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from monai.networks.layers.factories import Conv, Dropout, Pool
from monai.networks.layers.utils import get_act_layer, get_norm_layer


def per_axis(name: str, value: int | Sequence[int], spatial_dims: int) -> tuple[int, ...]:
    """Return one number for each spatial axis, from one for all or one for each.

    Raises:
        ValueError: the sequence has another length than ``spatial_dims``, or a number is below 1.
    """
    numbers = (value,) * spatial_dims if isinstance(value, int) else tuple(int(number) for number in value)
    if len(numbers) != spatial_dims or min(numbers) < 1:
        raise ValueError(
            f"{name} must be a number of at least 1 or {spatial_dims} of them (spatial_dims), got {value}."
        )
    return numbers


def conv_norm_act(
    spatial_dims: int,
    in_channels: int,
    out_channels: int,
    kernel_size: Sequence[int] | int = 3,
    stride: Sequence[int] | int = 1,
    dilation: Sequence[int] | int = 1,
    act: str | tuple | None = "relu",
    norm: str | tuple = "batch",
) -> nn.Sequential:
    """Build convolution, normalization and activation, padded so that the size shrinks by the stride alone.

    The convolution has no bias: the normalization that follows brings its own.

    Raises:
        ValueError: a kernel size is even, or kernel size, stride or dilation do not fit ``spatial_dims``.
    """
    kernel = per_axis("kernel_size", kernel_size, spatial_dims)
    if any(k % 2 == 0 for k in kernel):
        raise ValueError(f"kernel_size must be odd, so that padding keeps the size, got {kernel_size}.")
    dilations = per_axis("dilation", dilation, spatial_dims)
    padding = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilations, strict=True))
    strides = per_axis("stride", stride, spatial_dims)
    layers: list[nn.Module] = [
        Conv[Conv.CONV, spatial_dims](
            in_channels, out_channels, kernel, stride=strides, padding=padding, dilation=dilations, bias=False
        ),
        get_norm_layer(norm, spatial_dims, out_channels),
    ]
    if act is not None:
        layers.append(get_act_layer(act))
    return nn.Sequential(*layers)


def in_plane_dilation(dilation: int | Sequence[int], spatial_dims: int) -> tuple[int, ...]:
    """Return the dilation along each spatial axis.

    A single number acts in-plane: the last axis of a 3D network steps from slice to slice, 5 to 10 mm apart in a
    short-axis stack, and keeps dilation 1. A sequence is taken as it is.

    Raises:
        ValueError: the sequence has another length than ``spatial_dims``, or a dilation is below 1.
    """
    if isinstance(dilation, int):
        dilation = (dilation,) * min(spatial_dims, 2) + (1,) * (spatial_dims - 2)
    return per_axis("dilation", dilation, spatial_dims)


class ImagePooling(nn.Module):
    """The whole feature map averaged to one vector, projected, and spread over the map again."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, act: str | tuple = "relu") -> None:
        super().__init__()
        self.pool = Pool[Pool.ADAPTIVEAVG, spatial_dims](1)
        self.project = conv_norm_act(spatial_dims, in_channels, out_channels, kernel_size=1, act=act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, in_channels, *spatial)`` to ``(B, out_channels, *spatial)``, constant over the spatial axes."""
        pooled = self.project(self.pool(x))
        size = list(x.shape)
        size[1] = pooled.shape[1]
        return pooled.expand(size)


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling.

    Parallel branches look at the same feature map: a 1x1 convolution, one dilated 3x3 convolution for each entry of
    ``dilations``, and the average of the whole map. Their outputs are concatenated and projected. Every convolution
    is followed by batch normalization and activation.

    ============  ====================================  =====================
    branch        layers                                output channels
    ============  ====================================  =====================
    1x1           conv 1, norm, act                     ``branch_channels``
    each dilation conv ``kernel_size``, norm, act       ``branch_channels``
    image pooling global average, conv 1, norm, act     ``branch_channels``
    projection    concat, conv 1, norm, act, dropout    ``out_channels``
    ============  ====================================  =====================

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the feature map.
        out_channels: channels after the projection.
        dilations: one branch for each entry, any number of them. A number acts in-plane (see ``in_plane_dilation``);
            a sequence gives the dilation of each axis.
        branch_channels: channels of each branch; ``out_channels`` if ``None``.
        kernel_size: of the dilated branches, a number or one for each axis (``(3, 3, 1)`` leaves slices apart).
        image_pooling: whether to have the branch that averages the whole map.
        act: activation, in MONAI's form.
        dropout: probability of dropping a channel after the projection, in [0, 1).

    Raises:
        ValueError: ``spatial_dims`` is not 2 or 3, a dilation or ``kernel_size`` does not fit it, or a kernel is even.

    Note:
        In training image pooling normalizes one value a sample: it needs batches of at least two.

    Source:
        Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation, 2017, section 3.3
        (https://arxiv.org/abs/1706.05587).
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        dilations: Sequence[int | Sequence[int]] = (3, 6, 9),
        branch_channels: int | None = None,
        kernel_size: int | Sequence[int] = 3,
        image_pooling: bool = True,
        act: str | tuple = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims must be 2 or 3, got {spatial_dims}.")
        width = branch_channels or out_channels
        self.dilations = [in_plane_dilation(d, spatial_dims) for d in dilations]
        branches: list[nn.Module] = [conv_norm_act(spatial_dims, in_channels, width, kernel_size=1, act=act)]
        branches += [
            conv_norm_act(spatial_dims, in_channels, width, kernel_size, dilation=d, act=act) for d in self.dilations
        ]
        if image_pooling:
            branches.append(ImagePooling(spatial_dims, in_channels, width, act=act))
        self.branches = nn.ModuleList(branches)
        self.project = nn.Sequential(
            conv_norm_act(spatial_dims, width * len(branches), out_channels, kernel_size=1, act=act),
            Dropout[Dropout.DROPOUT, spatial_dims](dropout),
        )
        kernel = per_axis("kernel_size", kernel_size, spatial_dims)
        # along an axis that no branch dilates any size will do
        self.min_size = [
            max([d[axis] for d in self.dilations if d[axis] > 1 and kernel[axis] > 1], default=0) + 1
            for axis in range(spatial_dims)
        ]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, in_channels, *spatial)`` to ``(B, out_channels, *spatial)``.

        Raises:
            ValueError: a dilation reaches past the whole feature map, so that its outer taps would see padding alone.
        """
        for axis, smallest in enumerate(self.min_size):
            if x.shape[axis + 2] < smallest:
                raise ValueError(
                    f"dilations must be smaller than the feature map: axis {axis} has {x.shape[axis + 2]} positions, "
                    f"the largest dilation is {smallest - 1}. Give a larger input or smaller dilations."
                )
        outputs = []
        for branch in self.branches:
            outputs.append(branch(x))
        return self.project(torch.cat(outputs, dim=1))


def resize_to(x: torch.Tensor, size: list[int], mode: str) -> torch.Tensor:
    """Interpolate ``(B, C, *spatial)`` to the spatial ``size``; a map that has it already passes untouched."""
    if list(x.shape[2:]) == size:
        return x
    return F.interpolate(x, size=size, mode=mode, align_corners=False)

"""The project's network: a residual encoder, atrous spatial pyramid pooling, and a decoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn as nn
from monai.networks.layers.factories import Conv, Pool
from monai.networks.layers.utils import get_act_layer
from monai.networks.nets.attentionunet import AttentionBlock

from pipeline.networks.aspp import ASPP, conv_norm_act, per_axis, resize_to
from pipeline.networks.transformer import TransformerBottleneck


class ResidualUnit(nn.Module):
    """Two convolutions with batch normalization and a shortcut around them.

    The shortcut of a unit that shrinks the map averages before its 1x1 convolution, so that it reads every voxel
    instead of every other one.

    Source:
        He et al., Deep Residual Learning, 2016 (https://arxiv.org/abs/1512.03385); the averaging shortcut is "ResNet-D"
        of He et al., Bag of Tricks, 2019, section 4.2 (https://arxiv.org/abs/1812.01187).
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[int] | int = 3,
        stride: Sequence[int] | int = 1,
        act: str | tuple = "relu",
    ) -> None:
        super().__init__()
        strides = per_axis("stride", stride, spatial_dims)
        self.body = nn.Sequential(
            conv_norm_act(spatial_dims, in_channels, out_channels, kernel_size, stride, act=act),
            conv_norm_act(spatial_dims, out_channels, out_channels, kernel_size, act=None),
        )
        shortcut: list[nn.Module] = []
        if max(strides) > 1:
            # ceil_mode: sizes that are no multiple of the stride shrink like the padded convolution does
            shortcut.append(Pool[Pool.AVG, spatial_dims](strides, stride=strides, ceil_mode=True))
        if in_channels != out_channels:
            shortcut.append(conv_norm_act(spatial_dims, in_channels, out_channels, kernel_size=1, act=None))
        self.shortcut = nn.Sequential(*shortcut)
        self.act = get_act_layer(act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, in_channels, *spatial)`` to ``(B, out_channels, *ceil(spatial / stride))``."""
        return self.act(self.body(x) + self.shortcut(x))


class DecoderStage(nn.Module):
    """Upsamples to the size of the encoder's map of the same stage and, with skips, joins that map.

    One convolution refines the result: capacity is worth more in the encoder.

    With ``attention_gates`` what is coarse weighs each position of what is fine before they join.

    Source:
        Isensee et al., nnU-Net Revisited, 2024 (https://arxiv.org/abs/2404.09556), whose residual-encoder presets have
        one convolution a decoder stage; Oktay et al., Attention U-Net, 2018 (https://arxiv.org/abs/1804.03999), whose
        gate is MONAI's ``AttentionBlock``.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[int] | int,
        skips: bool,
        act: str | tuple,
        attention_gates: bool = False,
    ) -> None:
        super().__init__()
        self.skips = skips
        inner = max(out_channels // 2, 1)
        self.gate = AttentionBlock(spatial_dims, inner, out_channels, out_channels) if attention_gates else None
        self.mode = "bilinear" if spatial_dims == 2 else "trilinear"
        # projecting before upsampling costs a quarter (2D) of projecting after it, with the same result
        self.project = conv_norm_act(spatial_dims, in_channels, out_channels, kernel_size=1, act=act)
        joined = 2 * out_channels if skips else out_channels
        self.refine = conv_norm_act(spatial_dims, joined, out_channels, kernel_size, act=act)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Map ``(B, in_channels, *small)`` and ``(B, out_channels, *large)`` to ``(B, out_channels, *large)``."""
        x = resize_to(self.project(x), list(skip.shape[2:]), self.mode)
        if self.skips:
            if self.gate is not None:
                skip = self.gate(x, skip)
            x = torch.cat([x, skip], dim=1)
        return self.refine(x)


class ASPPNet(nn.Module):
    """Encoder–decoder with atrous spatial pyramid pooling at the end of the encoder.

    Batch normalization follows every convolution but the last, which gives the logits. The table is for the defaults
    in 2D, with 1.49 million parameters; ``H, W`` may be any size of at least ``min_spatial_size`` (73 x 73), multiples
    of the stride or not.

    =========  =====================================  ====================  =============================
    stage      layers                                 output                receptive field, pixels
    =========  =====================================  ====================  =============================
    encoder 0  1 residual unit                        16 x H x W            5
    encoder 1  1 residual unit, stride 2              32 x H/2 x W/2        11
    encoder 2  2 residual units, stride 2             64 x H/4 x W/4        39
    encoder 3  2 residual units, stride 2             160 x H/8 x W/8       95
    ASPP       1x1, dilations 3, 6, 9, image pooling  160 x H/8 x W/8       239 (all, with image pooling)
    decoder 2  upsample, join, 1 convolution          64 x H/4 x W/4        255
    decoder 1  upsample, join, 1 convolution          32 x H/2 x W/2        263
    decoder 0  upsample, join, 1 convolution          16 x H x W            263 or 271, by position
    head       1x1 convolution                        out_channels x H x W  263 or 271
    =========  =====================================  ====================  =============================

    At 1.25 mm a pixel a heart of 150 mm is 120 pixels wide. For each of its pixels to see all others, the field must
    reach 119 pixels to either side, 239 in all. The network without ASPP has 119 or 127, with the dilations 263 or 271.

    Args:
        spatial_dims: 2 or 3. In 3D the last axis steps from slice to slice.
        in_channels: channels of the image.
        out_channels: channels of the logits, background included.
        channels: channels of each encoder stage, from the finest to the coarsest.
        strides: how much each stage shrinks the map: a number, or one for each axis. Thick slices must not be pooled
            away: ``(2, 2, 1)`` keeps them.
        kernel_size: for all stages, or one entry for each stage: a number, or one for each axis (``(3, 3, 1)``).
        num_res_units: residual units of each encoder stage.
        dilations: of the ASPP branches; an empty sequence and ``image_pooling=False`` leave the 1x1 branch alone.
        aspp_channels: channels after the ASPP; the last of ``channels`` if ``None``.
        branch_channels: channels of each ASPP branch; half of ``aspp_channels`` if ``None``.
        image_pooling: whether ASPP has the branch that averages the whole map.
        skips: whether the decoder joins the encoder's maps; without, it is the plain encoder–decoder.
        attention_gates: whether each skip passes an attention gate.
        transformer_layers: of self-attention between encoder and ASPP, see ``TransformerBottleneck``; 0 for none.
        transformer_heads: of each of these layers.
        act: activation, in MONAI's form.
        dropout: probability of dropping a channel after the ASPP, in [0, 1).

    Raises:
        ValueError: the lengths of ``channels``, ``strides``, ``num_res_units`` and ``kernel_size`` differ, a number
            is below 1, a kernel size is even, ``spatial_dims`` is not 2 or 3, or attention gates have no skips.

    Note:
        In training image pooling normalizes one value a sample: it needs batches of at least two.

    Source:
        Chen et al., Encoder-Decoder with Atrous Separable Convolution, 2018 (https://arxiv.org/abs/1802.02611);
        Ronneberger et al., U-Net, 2015 (https://arxiv.org/abs/1505.04597), for the skips;
        He et al., Delving Deep into Rectifiers, 2015 (https://arxiv.org/abs/1502.01852), for the initial weights.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 4,
        channels: Sequence[int] = (16, 32, 64, 160),
        strides: Sequence[int | Sequence[int]] = (1, 2, 2, 2),
        kernel_size: int | Sequence[int | Sequence[int]] = 3,
        num_res_units: Sequence[int] = (1, 1, 2, 2),
        dilations: Sequence[int | Sequence[int]] = (3, 6, 9),
        aspp_channels: int | None = None,
        branch_channels: int | None = None,
        image_pooling: bool = True,
        skips: bool = True,
        attention_gates: bool = False,
        transformer_layers: int = 0,
        transformer_heads: int = 4,
        act: str | tuple = ("relu", {"inplace": True}),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        kernels = [kernel_size] * len(channels) if isinstance(kernel_size, int) else list(kernel_size)
        _check_stages(spatial_dims, channels, strides, kernels, num_res_units)
        if attention_gates and not skips:
            raise ValueError("attention_gates need skips=True: they weigh what the skips bring.")
        stage_strides = [per_axis("strides", stride, spatial_dims) for stride in strides]
        self.mode = "bilinear" if spatial_dims == 2 else "trilinear"
        self.encoder = nn.ModuleList()
        previous = in_channels
        for width, stride, kernel, units in zip(channels, stage_strides, kernels, num_res_units, strict=True):
            stage = [ResidualUnit(spatial_dims, previous, width, kernel, stride, act)]
            stage += [ResidualUnit(spatial_dims, width, width, kernel, 1, act) for _ in range(units - 1)]
            self.encoder.append(nn.Sequential(*stage))
            previous = width
        self.transformer = (
            TransformerBottleneck(spatial_dims, previous, transformer_layers, transformer_heads)
            if transformer_layers
            else nn.Identity()
        )
        aspp_width = aspp_channels or channels[-1]
        self.aspp = ASPP(
            spatial_dims,
            in_channels=previous,
            out_channels=aspp_width,
            dilations=dilations,
            branch_channels=branch_channels or max(aspp_width // 2, 1),
            kernel_size=kernels[-1],
            image_pooling=image_pooling,
            act=act,
            dropout=dropout,
        )
        self.decoder = nn.ModuleList()
        previous = aspp_width
        for width, kernel in zip(reversed(channels[:-1]), reversed(kernels[:-1]), strict=True):
            self.decoder.append(DecoderStage(spatial_dims, previous, width, kernel, skips, act, attention_gates))
            previous = width
        self.head = Conv[Conv.CONV, spatial_dims](previous, out_channels, kernel_size=1)
        self.total_strides = [math.prod(stride) for stride in zip(*stage_strides, strict=True)]
        self.min_spatial_size = [
            (smallest - 1) * total + 1 for smallest, total in zip(self.aspp.min_size, self.total_strides, strict=True)
        ]
        self.apply(_initialize)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images to logits of the same size.

        Args:
            x: ``(B, in_channels, *spatial)``, float, every spatial axis at least ``min_spatial_size``.

        Returns:
            Logits ``(B, out_channels, *spatial)``.

        Raises:
            ValueError: the input is smaller than strides and dilations allow.
        """
        size = list(x.shape[2:])
        for axis, smallest in enumerate(self.min_spatial_size):
            if size[axis] < smallest:
                raise ValueError(
                    f"the input must have at least {self.min_spatial_size} positions along its spatial axes (strides "
                    f"{self.total_strides} and the largest dilation ask for it), got {size}. Pad it or give a larger "
                    "roi_size."
                )
        maps = []
        for stage in self.encoder:
            x = stage(x)
            maps.append(x)
        x = self.aspp(self.transformer(x))
        for depth, stage in enumerate(self.decoder):
            x = stage(x, maps[len(maps) - 2 - depth])
        return resize_to(self.head(x), size, self.mode)


def _check_stages(
    spatial_dims: int,
    channels: Sequence[int],
    strides: Sequence[int | Sequence[int]],
    kernels: Sequence[int | Sequence[int]],
    num_res_units: Sequence[int],
) -> None:
    if spatial_dims not in (2, 3):
        raise ValueError(f"spatial_dims must be 2 or 3, got {spatial_dims}.")
    lengths = {
        "channels": len(channels),
        "strides": len(strides),
        "kernel_size": len(kernels),
        "num_res_units": len(num_res_units),
    }
    if len(set(lengths.values())) > 1 or not channels:
        raise ValueError(
            f"channels, strides, kernel_size and num_res_units must have one entry a stage, got {lengths}."
        )
    if min(channels) < 1 or min(num_res_units) < 1:
        raise ValueError(
            f"channels and num_res_units must be at least 1, got {list(channels)} and {list(num_res_units)}."
        )


def _initialize(module: nn.Module) -> None:
    """Draw the weights in front of a ReLU as He et al. 2015.

    The head keeps PyTorch's own: logits that start near zero (standard deviation 0.01) were measured to cost hundreds
    of iterations before the first structure appears.
    """
    if isinstance(module, (nn.Conv2d, nn.Conv3d)) and module.bias is None:
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

"""Convolutions that the processor computes together with what follows them: shortcut and activation."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from pipeline.networks.aspp_net import ResidualUnit

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)


def can_fuse(device: torch.device | str, dtype: torch.dtype = torch.float32) -> bool:
    """Say whether :func:`fuse_activations` serves a device: processors for which PyTorch was built with oneDNN.

    In bfloat16 oneDNN wants at least AVX-512 or AVX-NE-CONVERT.
    """
    if torch.device(device).type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    return dtype is not torch.bfloat16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def fuse_activations(network: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Have oneDNN add bias and shortcut and apply ReLU while it writes what it convolved: one pass over memory each.

    Its weights are reordered once instead of at each call. PyTorch does both for ``torch.compile``, by the same
    operators, which need no compiler and take images of any size.

    Args:
        network: in evaluation mode, on the processor, batch normalization folded; it is not changed.
        dtype: of the convolutions: ``float32`` or ``bfloat16``. What is between them computes in what it gets, so that
            bfloat16 belongs under ``torch.autocast``.

    Returns:
        A copy that computes the same to rounding; a NaN may become 0, as oneDNN's ReLU has it. It can be neither
        trained nor saved, copied or moved. Convolutions that pad with anything but zeros, and activations other than
        ReLU, stay as they are.

    Source:
        oneDNN, "Primitive Attributes: Post-ops" (https://uxlfoundation.github.io/oneDNN); the operators are those that
        ``torch/_inductor/fx_passes/mkldnn_fusion.py`` calls.
    """
    return _fused(deepcopy(network), dtype).requires_grad_(False)


class FusedConvolution(nn.Module):
    """A convolution with bias and, where asked for, ReLU in one pass.

    Args:
        conv: with zeros as padding.
        dtype: of weights and output; the input is converted.
        relu: whether ReLU follows.
    """

    def __init__(self, conv: nn.Conv2d | nn.Conv3d, dtype: torch.dtype, relu: bool = False) -> None:
        super().__init__()
        self.dtype = dtype
        self.activation = "relu" if relu else "none"
        self.geometry: tuple[Any, ...] = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        # no buffers: what oneDNN reordered has no strides, and is neither moved nor saved
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(conv.weight.detach().to(dtype), *self.geometry)
        self.bias = None if conv.bias is None else conv.bias.detach().to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, *spatial)`` to ``(B, K, *spatial)``."""
        output: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(
            x.to(self.dtype), self.weight, self.bias, *self.geometry, self.activation, [], ""
        )
        return output

    def added_to(self, sum_so_far: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return ``relu(conv(x) + sum_so_far)``, written over ``sum_so_far``, which is channels-last."""
        output: torch.Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            sum_so_far, x.to(self.dtype), self.weight, self.bias, *self.geometry, "add", 1.0, "relu", [], ""
        )
        return output


class FusedResidualUnit(nn.Module):
    """A ``ResidualUnit`` whose last convolution adds the shortcut and applies ReLU.

    Args:
        unit: its parts fused.
        last: the only convolution of the second half of its body.
    """

    def __init__(self, unit: ResidualUnit, last: FusedConvolution) -> None:
        super().__init__()
        self.first, self.last, self.shortcut = unit.body[0], last, unit.shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, in_channels, *spatial)`` to ``(B, out_channels, *ceil(spatial / stride))``."""
        # oneDNN adds to what lies in this order alone
        order = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
        shortcut = self.shortcut(x).to(self.last.dtype, memory_format=order)
        # what came in is the caller's
        return self.last.added_to(shortcut.clone() if shortcut is x else shortcut, self.first(x))


def _fused(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    if _fits(module):
        return FusedConvolution(module, dtype)  # type: ignore[arg-type]  # _fits says so
    # a subclass may call its children in another order
    if type(module).forward is nn.Sequential.forward:
        _take_in_relu(module, dtype)
    for name, child in list(module.named_children()):
        setattr(module, name, _fused(child, dtype))
    # a subclass may compute something else
    if isinstance(module, ResidualUnit) and type(module).forward is ResidualUnit.forward:
        last = _only_convolution(module.body[1]) if isinstance(module.act, nn.ReLU) else None
        return module if last is None else FusedResidualUnit(module, last)
    return module


def _take_in_relu(block: nn.Module, dtype: torch.dtype) -> None:
    """Fuse the ReLUs of an ``nn.Sequential`` into the convolutions right before them."""
    steps = [(name, child) for name, child in block.named_children() if not isinstance(child, nn.Identity)]
    for (conv_name, conv), (relu_name, relu) in pairwise(steps):
        if _fits(conv) and isinstance(relu, nn.ReLU):
            setattr(block, conv_name, FusedConvolution(conv, dtype, relu=True))  # type: ignore[arg-type]
            setattr(block, relu_name, nn.Identity())


def _only_convolution(block: nn.Module) -> FusedConvolution | None:
    steps = [child for child in block.children() if not isinstance(child, nn.Identity)]
    return steps[0] if len(steps) == 1 and isinstance(steps[0], FusedConvolution) else None


def _fits(module: nn.Module) -> bool:
    return type(module) in CONVOLUTIONS and module.padding_mode == "zeros" and not isinstance(module.padding, str)

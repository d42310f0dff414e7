"""Images of two sizes: what a network is exported with, and what its back end is checked with."""

from __future__ import annotations

import torch
from torch import nn

_USUAL_SIZE = 64  # of networks that do not tell what they need


def example_images(network: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Make two batches of noise that differ in number and size of the images.

    Args:
        network: begins with a convolution; may tell ``min_spatial_size`` and ``total_strides``, as ``ASPPNet`` does.

    Returns:
        Batches ``(2, C, *small)`` and ``(3, C, *large)`` in [0, 1) on the network's device, the same each time.
    """
    weight = next(network.parameters())
    smallest, strides = _size_rules(network, weight.ndim - 2)
    small = [-(-least // (2 * stride)) * 2 * stride for least, stride in zip(smallest, strides, strict=True)]
    large = [size + (axis + 1) * stride for axis, (size, stride) in enumerate(zip(small, strides, strict=True))]
    generator = torch.Generator().manual_seed(0)
    first = torch.rand(2, weight.shape[1], *small, generator=generator)
    second = torch.rand(3, weight.shape[1], *large, generator=generator)
    return first.to(weight.device), second.to(weight.device)


def _size_rules(network: nn.Module, spatial_dims: int) -> tuple[list[int], list[int]]:
    # an ensemble has them in its members
    for module in network.modules():
        smallest, strides = (getattr(module, name, None) for name in ("min_spatial_size", "total_strides"))
        if smallest and strides:
            return smallest, strides
    return [_USUAL_SIZE] * spatial_dims, [_USUAL_SIZE // 2] * spatial_dims

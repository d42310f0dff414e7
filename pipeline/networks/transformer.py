"""Self-attention over a feature map: every position looks at every other."""

from __future__ import annotations

import torch
import torch.nn as nn
from monai.networks.layers.factories import Conv


class TransformerBottleneck(nn.Module):
    """Transformer layers over the positions of a feature map of any size.

    A depthwise convolution gives the positions their place: unlike a learned table it serves every size.

    Args:
        spatial_dims: 2 or 3.
        channels: of the feature map, in and out.
        num_layers: transformer layers, at least 1.
        num_heads: of the attention; divides ``channels``.
        dropout: inside the layers, in [0, 1).

    Raises:
        ValueError: ``num_layers`` is below 1, or ``num_heads`` does not divide ``channels``.

    Source:
        Chen et al., TransUNet, 2021 (https://arxiv.org/abs/2102.04306), for the place of the layers; Chu et al.,
        Conditional Positional Encodings, 2021 (https://arxiv.org/abs/2102.10882).
    """

    def __init__(
        self, spatial_dims: int, channels: int, num_layers: int = 2, num_heads: int = 4, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers must be at least 1, got {num_layers}.")
        if channels % num_heads:
            raise ValueError(f"num_heads must divide channels, got {num_heads} and {channels}.")
        self.position = Conv[Conv.CONV, spatial_dims](channels, channels, 3, padding=1, groups=channels)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                channels, num_heads, 4 * channels, dropout, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, channels, *spatial)`` to the same shape."""
        x = x + self.position(x)
        tokens = x.flatten(2).transpose(1, 2)
        for layer in self.layers:
            tokens = layer(tokens)
        return self.norm(tokens).transpose(1, 2).reshape(x.shape)

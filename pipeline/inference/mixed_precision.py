"""Mixed precision on processors, which MONAI's engines know on GPUs only.

MONAI's engines call ``torch.autocast("cuda")`` whatever the device; on a processor that does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import SimpleInferer
from torch import nn


class BFloat16Network(nn.Module):
    """A network that a processor computes in bfloat16 from its first convolution on; weights and output are float32.

    It predicts only, and stays in evaluation mode: MONAI's evaluator would go through all layers before each batch.

    Args:
        network: maps images ``(B, C, *spatial)`` to logits ``(B, K, *spatial)``.

    Source:
        PyTorch, "Automatic Mixed Precision package", section "CPU Op-Specific Behavior".
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()
        self.training = False

    def train(self, mode: bool = True) -> BFloat16Network:
        """Stay in evaluation mode."""
        return self

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Predict a batch; further arguments go to the network."""
        return _in_bfloat16(self.network, x, *args, **kwargs)


class MixedPrecisionInferer(SimpleInferer):
    """MONAI's ``SimpleInferer`` for trainings on a processor, in mixed precision.

    bfloat16 has float32's range: no gradient need be scaled.

    Args:
        enabled: False: as ``SimpleInferer``.
    """

    def __init__(self, enabled: bool = True) -> None:
        super().__init__()
        self.enabled = enabled

    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Predict a batch ``(B, C, *spatial)``; further arguments go to the network."""
        if not self.enabled:
            return super().__call__(inputs, network, *args, **kwargs)
        return _in_bfloat16(network, inputs, *args, **kwargs)


def _in_bfloat16(network: Callable[..., Any], x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output: torch.Tensor = network(x, *args, **kwargs)
    return output.float()

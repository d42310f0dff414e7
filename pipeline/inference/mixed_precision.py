"""Mixed precision on processors, which MONAI's engines know on GPUs only."""

from __future__ import annotations

from typing import Any

import torch
from monai.inferers import SimpleInferer
from torch import nn


class BFloat16Inferer(SimpleInferer):
    """Runs a network on a processor with its convolutions in bfloat16, and gives its output in float32.

    MONAI's engines call ``torch.autocast("cuda")`` whatever the device; on a processor that does nothing. The weights
    and the loss stay in float32, and bfloat16 has float32's range, so that no gradient need be scaled.

    Args:
        enabled: False: as MONAI's ``SimpleInferer``.

    Source:
        PyTorch, "Automatic Mixed Precision package", section "CPU Op-Specific Behavior".
    """

    def __init__(self, enabled: bool = True) -> None:
        super().__init__()
        self.enabled = enabled

    def __call__(self, inputs: torch.Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Predict a batch ``(B, C, X, Y[, Z])``; further arguments go to the network."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.enabled):
            output = super().__call__(inputs, network, *args, **kwargs)
        return output.float() if self.enabled else output

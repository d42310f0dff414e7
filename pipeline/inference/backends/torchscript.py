"""The network as TorchScript."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from pipeline.errors import InputError


class TorchScriptNetwork(nn.Module):
    """Runs a TorchScript module, its weights made constants.

    Args:
        script: maps ``(B, C, *spatial)`` to logits ``(B, K, *spatial)``.
    """

    def __init__(self, script: torch.jit.ScriptModule) -> None:
        super().__init__()
        # frozen modules have no mode, which MONAI's engines set
        self._run = torch.jit.freeze(script.eval())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, *spatial)`` to logits ``(B, K, *spatial)``."""
        logits: torch.Tensor = self._run(x)
        return logits


def script_network(network: nn.Module) -> TorchScriptNetwork:
    """Turn a network into TorchScript."""
    return TorchScriptNetwork(torch.jit.script(network))


def open_torchscript(path: Path, device: torch.device) -> TorchScriptNetwork:
    """Read a file of ``monai.bundle ckpt_export`` or ``torch.jit.save``.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return TorchScriptNetwork(torch.jit.load(path, map_location=device))
    except (RuntimeError, ValueError) as error:
        raise InputError(f"exported_file {path} is no TorchScript that can be read. Export it again.") from error

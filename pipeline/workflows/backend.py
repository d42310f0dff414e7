"""The network that predicts: weights or an exported file, run by the back end that was asked for."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from pipeline.inference.backends import Backend, check_backend, default_backend, open_exported, with_backend
from pipeline.inference.mixed_precision import BFloat16Network
from pipeline.workflows.device import BFLOAT16, FLOAT32, load_network
from pipeline.workflows.members import CheckpointPaths

_OF_PYTORCH = (Backend.EAGER, Backend.FOLDED, Backend.FUSED)


def usual_backend(device: torch.device, precision: str = FLOAT32) -> str:
    """Return the name of the fastest back end that needs no other package: ``fused`` on processors, else ``folded``."""
    return default_backend(device, _dtype(precision)).value


def load_backend(
    network: nn.Module,
    ckpt_path: CheckpointPaths,
    device: torch.device,
    backend: str = "eager",
    exported_file: str | Path = "",
    precision: str = FLOAT32,
) -> nn.Module:
    """Load what predicts.

    Args:
        network: that the weights belong to.
        ckpt_path: of the weights, see :func:`load_network`; not read where there is an ``exported_file``.
        device: where it predicts.
        backend: name of a :class:`pipeline.inference.backends.Backend`.
        exported_file: of an export of ``network``; empty to make the back end from the weights.
        precision: see :func:`pipeline.workflows.precision`. Here ``"bfloat16"`` matters alone, of ``eager``,
            ``folded`` and ``fused``: ``"float16"`` is the engine's, and the other back ends compute in float32.

    Returns:
        What maps images ``(B, C, *spatial)`` to logits ``(B, K, *spatial)``.

    Raises:
        InputError: a file cannot be read or belongs to another network, or the back end is not on this machine.
    """
    kind = check_backend(backend, exported_file, device)
    if exported_file:
        return open_exported(Path(exported_file), kind, network, device)
    found = with_backend(load_network(network, ckpt_path, device), kind, _dtype(precision))
    return BFloat16Network(found) if precision == BFLOAT16 and kind in _OF_PYTORCH else found


def _dtype(precision: str) -> torch.dtype:
    return torch.bfloat16 if precision == BFLOAT16 else torch.float32

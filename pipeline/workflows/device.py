"""Networks on their device, in the memory order that is fast there."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from pipeline.errors import InputError
from pipeline.handlers import load_weights
from pipeline.networks import MeanEnsemble
from pipeline.workflows.members import CheckpointPaths, member_paths


def place(network: nn.Module, device: torch.device | str) -> nn.Module:
    """Move a network to ``device`` with its 2D or 3D convolution weights in channels-last order.

    Convolutions take the order of their weights: channels last runs without reordering on CPUs (oneDNN) and on tensor
    cores.

    Source:
        PyTorch tutorial "Channels Last Memory Format in PyTorch".
    """
    ranks = {parameter.ndim for parameter in network.parameters()}
    memory_format = torch.channels_last_3d if 5 in ranks else torch.channels_last
    return network.to(device=device, memory_format=memory_format)  # type: ignore[call-overload]  # torch's stub omits it


def fast_in_half(device: torch.device | str) -> bool:
    """Say whether a device multiplies numbers of 16 bits faster than those of 32.

    GPUs do, and processors with instructions for bfloat16, AVX-512 BF16 or AMX. Others would imitate them, slower.
    """
    kind = torch.device(device).type
    if kind == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return kind == "cuda"


def require_device(device: torch.device | str) -> None:
    """Find out whether this machine has a device; a configuration needs it as ``torch.device``, not as its name.

    Raises:
        InputError: there is no such device, or only its name came.
    """
    try:
        wanted = torch.device(device)
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InputError(
            f"device must be one of this machine, which has {_devices()}, got '{device}'. Leave it out to have it "
            "chosen."
        ) from error
    if isinstance(device, str):
        raise InputError(
            f"device must be a torch.device, got the text '{device}'. Write it as --device "
            f"\"\\$torch.device('{device}')\", or leave it out to have it chosen."
        )


def _devices() -> str:
    return ", ".join(["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))])


def load_network(network: nn.Module, path: CheckpointPaths, device: torch.device | str) -> nn.Module:
    """Load saved weights into a network and place it on ``device``, ready to predict.

    Args:
        network: that the weights belong to.
        path: of the weights; of several a :class:`MeanEnsemble` is made.
        device: where it predicts.

    Raises:
        InputError: a file cannot be read or holds the weights of another network, or those of several do not belong
            together.
    """
    paths = member_paths(path)
    networks = [network, *(deepcopy(network) for _ in paths[1:])]
    members = [place(load_weights(*pair), device) for pair in zip(networks, paths, strict=True)]
    return (members[0] if len(members) == 1 else MeanEnsemble(members)).eval()

"""Networks on their device, in the memory order that is fast there."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from pipeline.errors import InputError
from pipeline.flags import as_flag
from pipeline.handlers import load_weights
from pipeline.networks import MeanEnsemble
from pipeline.workflows.members import CheckpointPaths, member_paths

FLOAT32, FLOAT16, BFLOAT16 = "float32", "float16", "bfloat16"
_MIXED = {"cuda": FLOAT16, "cpu": BFLOAT16}


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


def fast_in_16_bits(device: torch.device | str) -> bool:
    """Say whether a device is known to multiply numbers of 16 bits faster than those of 32.

    NVIDIA's GPUs are, and x86 processors with instructions for bfloat16: AVX-512 BF16 or AMX. Without these PyTorch
    imitates bfloat16, slower.
    """
    kind = torch.device(device).type
    if kind == "cpu":
        return any(torch.cpu.get_capabilities().get(name, False) for name in ("avx512_bf16", "amx_bf16"))
    return kind == "cuda"


def precision(amp: bool | str, device: torch.device | str) -> str:
    """Return the precision that most of the network is computed in.

    Args:
        amp: automatic mixed precision, a flag or its word; weights, loss and what decides stay in float32.
        device: where it is computed.

    Returns:
        ``"float32"``, or with ``amp`` what ``torch.autocast`` takes on that device: ``"float16"`` on NVIDIA's GPUs,
        ``"bfloat16"`` on processors.

    Raises:
        InputError: ``amp`` is no flag, or there is no mixed precision for the device here.
    """
    if not as_flag("amp", amp):
        return FLOAT32
    kind = torch.device(device).type
    if kind not in _MIXED:
        raise InputError(f"amp is for {' and '.join(_MIXED)}, device is {device}. Give --amp false.")
    return _MIXED[kind]


def require_device(device: torch.device | str) -> None:
    """Find out whether this machine has a device; a configuration needs it as ``torch.device``, not as its name.

    Raises:
        InputError: there is no such device, or only its name came.
    """
    _require_present("device", device)
    if isinstance(device, str):
        raise InputError(
            f"device must be a torch.device, got the text '{device}'. Write it as --device "
            f"\"\\$torch.device('{device}')\", or leave it out to have it chosen."
        )


def check_cache_device(cache_device: torch.device | str, num_workers: int) -> None:
    """Find out before the cache fills whether volumes can be kept on a device.

    Args:
        cache_device: of the preprocessed volumes; here its name does too.
        num_workers: processes that would cut samples from them.

    Raises:
        InputError: there is no such device, or other processes than this one would need what lies on a GPU.
    """
    _require_present("cache_device", cache_device)
    if torch.device(cache_device).type != "cpu" and num_workers:
        raise InputError(
            f"num_workers must be 0 where cache_device is {cache_device}: other processes cannot cut samples from "
            f"volumes on a GPU, got {num_workers}. Give --num_workers 0, or --cache_device cpu."
        )


def pins_memory(device: torch.device | str, cache_device: torch.device | str = "cpu") -> bool:
    """Say whether batches should lie in pinned memory: those that go from the CPU to a GPU, which copies them faster.

    Args:
        device: that the batches are needed on.
        cache_device: that the volumes lie on; what is on a GPU already cannot be pinned.
    """
    return torch.device(device).type == "cuda" and torch.device(cache_device).type == "cpu"


def _require_present(name: str, device: torch.device | str) -> None:
    try:
        wanted = torch.device(device)
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InputError(
            f"{name} must be one of this machine, which has {_devices()}, got '{device}'. Leave it out to have it "
            "chosen."
        ) from error


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

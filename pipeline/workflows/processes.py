"""Several processes that train one network or share a cohort: how they meet, what each of them does, how they part."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from monai.data import partition_dataset
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pipeline.errors import InputError
from pipeline.workflows.device import place

LOST_AFTER_MINUTES = 15.0
"""Longer than one process may keep the others waiting in a training, as for a slow disk while it fills its cache."""
# what gloo and NCCL say when the other end of a connection is gone
_LOST = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Timed out waiting",
    "remote process exited",
    "collective operation timeout",
)


def start_processes(device: torch.device | str, lost_after_minutes: float = LOST_AFTER_MINUTES) -> None:
    """Join the processes that ``torchrun`` started: NCCL between GPUs, gloo between CPUs.

    Only the first of them goes on logging what is no warning. Where another machine goes away without a word, the
    others wait for it at most ``lost_after_minutes``; a process that dies is noticed at once.

    Args:
        device: of this process, see ``rank_device``.
        lost_after_minutes: longer than one process may keep the others waiting.

    Raises:
        InputError: the program was not started by ``torchrun``.
    """
    if "LOCAL_RANK" not in os.environ:
        raise InputError(
            "multi_gpu_train.yaml and multi_gpu_inference.yaml need one process a GPU. Start them by `torchrun "
            "--nproc_per_node N -m monai.bundle run …`, or leave the overlay out of --config_file."
        )
    if not dist.is_initialized():
        backend = "nccl" if torch.device(device).type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(minutes=lost_after_minutes))
    if not is_first_process():
        logging.getLogger().setLevel(logging.WARNING)


def end_processes() -> None:
    """Leave the group of processes, once all have come here or one of them is gone."""
    if not dist.is_initialized():
        return
    # gloo's threads still hold the tensors of their last work, and end the process where Python has gone before they
    # let go of them (pytorch issues 179291, 190489): a barrier has none, and is behind it
    if dist.get_backend() == "gloo":
        with suppress(RuntimeError):
            dist.barrier()
    dist.destroy_process_group()


def rank_device() -> torch.device:
    """Return the device of this process of ``torchrun``: its own GPU, or the CPU where there is no GPU at all.

    Raises:
        InputError: more processes than GPUs.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    rank, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if rank >= gpus:
        raise InputError(
            f"--nproc_per_node must be at most {gpus}, the number of GPUs that are there, got {rank + 1} or more."
        )
    device = torch.device(f"cuda:{rank}")
    torch.cuda.set_device(device)
    return device


def distribute(network: nn.Module, device: torch.device) -> DistributedDataParallel:
    """Place a network on ``device`` so that all processes train it together.

    On GPUs batch normalization sees the batches of all processes; PyTorch has that for GPUs only.
    """
    on_gpu = device.type == "cuda"
    if on_gpu:
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return DistributedDataParallel(place(network, device), device_ids=[device] if on_gpu else None)


def share_cases(cases: Sequence[dict[str, Any]], num_replicas: int, rank: int) -> list[dict[str, Any]]:
    """Return the cases that one process validates: each case belongs to exactly one process.

    Args:
        cases: of the validation, the same in all processes.
        num_replicas: number of processes.
        rank: of this process.

    Returns:
        Its cases; none where there is no validation at all.

    Raises:
        InputError: there are fewer cases than processes.
    """
    if not cases:
        return []
    if len(cases) < num_replicas:
        raise InputError(
            f"{len(cases)} validation cases are too few for {num_replicas} processes: each needs one. Start fewer, "
            "with a lower --nproc_per_node."
        )
    parts = partition_dataset(list(cases), num_partitions=num_replicas, even_divisible=False)
    return list(parts[rank])


def is_first_process() -> bool:
    """Return whether this process writes what all of them have found; always true of a single one."""
    return not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0


def wait_for_all() -> None:
    """Go on once all processes have come here; at once where there is only one."""
    if dist.is_available() and dist.is_initialized():
        dist.barrier()


@contextmanager
def lost_process_explained() -> Iterator[None]:
    """Say in plain words that another process of the training has ended: libraries speak of sockets then.

    Raises:
        InputError: in place of the error of gloo or NCCL.
    """
    try:
        yield
    except RuntimeError as error:
        if not (dist.is_available() and dist.is_initialized() and any(words in str(error) for words in _LOST)):
            raise
        raise InputError(
            f"process {dist.get_rank()} of {dist.get_world_size()} has lost another process of this training, which "
            "has died or was killed: its own message stands above or in the log of its machine. Start all of them "
            f"again with --resume true to go on from the last whole epoch. ({str(error).strip().splitlines()[0]})"
        ) from error

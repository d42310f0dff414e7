"""Several processes that train one network: how they meet, what each of them does, how they part."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from monai.data import partition_dataset
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pipeline.errors import InputError
from pipeline.workflows.device import place


def start_processes() -> None:
    """Join the processes that ``torchrun`` started: NCCL between GPUs, gloo between CPUs.

    Only the first of them goes on logging what is no warning.

    Raises:
        InputError: the program was not started by ``torchrun``.
    """
    if "LOCAL_RANK" not in os.environ:
        raise InputError(
            "multi_gpu_train.yaml needs one process a GPU. Start them by `torchrun --nproc_per_node N -m monai.bundle "
            "run …`, or leave it out of --config_file."
        )
    if not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if not is_first_process():
        logging.getLogger().setLevel(logging.WARNING)


def end_processes() -> None:
    """Leave the group of processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank_device() -> torch.device:
    """Return the device of this process of ``torchrun``: its own GPU, or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device(f"cuda:{os.environ['LOCAL_RANK']}")
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

    Raises:
        InputError: there are fewer cases than processes.
    """
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

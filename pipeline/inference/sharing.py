"""A cohort shared by the processes that ``torchrun`` started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch.distributed as dist

from pipeline.errors import InputError

Value = TypeVar("Value")


def own_scans(count: int) -> range:
    """Return the numbers of the scans that this process segments, every n-th for n processes; all where it is alone.

    Args:
        count: scans of the cohort.

    Raises:
        InputError: there are fewer scans than processes.
    """
    rank, processes = _place()
    if count < processes:
        raise InputError(
            f"{count} scans are too few for {processes} processes: each needs one. Start fewer, with a lower "
            "--nproc_per_node."
        )
    return range(rank, count, processes)


def merged(values: Sequence[Value]) -> list[Value]:
    """Return what all processes have found of their scans, in the order of the cohort; each process gets all of it.

    Where another process has died this raises instead of waiting for it.

    Args:
        values: of this process, one for each of its ``own_scans``.
    """
    _, processes = _place()
    if processes == 1:
        return list(values)
    parts: list[list[Value]] = [[] for _ in range(processes)]
    dist.all_gather_object(parts, list(values))
    return [parts[n % processes][n // processes] for n in range(sum(map(len, parts)))]


def is_first() -> bool:
    """Return whether this process writes what is there once a cohort; always true of a single one."""
    return _place()[0] == 0


def _place() -> tuple[int, int]:
    if not (dist.is_available() and dist.is_initialized()):
        return 0, 1
    return dist.get_rank(), dist.get_world_size()

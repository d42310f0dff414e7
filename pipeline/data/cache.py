"""Keeps preprocessed volumes: on the GPU where asked for, in memory where they fit, on disk where they do not."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from multiprocessing.dummy import DummyProcess
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from monai.data import CacheDataset, Dataset, PersistentDataset
from monai.transforms import Compose, RandomizableTrait, Transform

from pipeline.errors import InputError

logger = logging.getLogger(__name__)

SAMPLES_TO_ESTIMATE = 3
GIB = 2**30
CPU = torch.device("cpu")


def cache_dataset(
    data: Sequence[dict[str, Any]],
    transform: Callable[[dict[str, Any]], dict[str, Any]],
    cache_dir: str | Path,
    memory_share: float = 0.5,
    num_workers: int | None = None,
    progress: bool = True,
    device: torch.device | str = CPU,
) -> Dataset:
    """Preprocess all cases once and keep the results.

    The size of the cache is estimated from a few cases before it fills. It goes to the memory of ``device`` where it
    takes at most ``memory_share`` of what is free there now, else to that of the CPU by the same rule, else to disk.

    Args:
        data: the datalist.
        transform: deterministic transforms only; what is random belongs behind the cache.
        cache_dir: folder for the disk cache; made when it is needed. What is written there goes when the program ends.
        memory_share: of the free memory, in (0, 1].
        num_workers: threads that fill the memory cache; ``None`` for one a core.
        progress: whether to show a progress bar in a terminal; MONAI's would fill a log.
        device: in whose memory the volumes are kept, and given. Items on a GPU are for this process alone.

    Returns:
        MONAI's ``CacheDataset`` or ``PersistentDataset``. The items of the first are shared, not copied: do not change
        them in place.

    Raises:
        InputError: neither memory nor disk has room, or ``cache_dir`` cannot be written.
        RuntimeError: a case does not fit the preprocessing; MONAI's, around the transform's own ``InputError``.
        ValueError: ``transform`` has a random part, or ``memory_share`` is not in (0, 1].
    """
    if not 0 < memory_share <= 1:
        raise ValueError(f"memory_share must be in (0, 1], got {memory_share}.")
    transform = _flat(transform)
    needed = estimate_bytes(data, transform)
    if not data:
        return Dataset(data, transform)
    # the threads that fill the cache do not share what "cuda" means here: the one GPU of this process
    exact = torch.empty(0, device=device).device
    for place in dict.fromkeys((exact, CPU)):
        free = int(_free_bytes(place) * memory_share)
        if needed <= free:
            logger.info(f"Caching {len(data)} cases in memory ({place}), about {needed / GIB:.2f} GiB.")
            steps = _then_moved(transform, place)
            return _in_memory(data, steps, num_workers or torch.get_num_threads(), progress and sys.stderr.isatty())
    folder = _disk_folder(Path(cache_dir), needed, free)
    logger.info(f"Caching {len(data)} cases in {cache_dir}, about {needed / GIB:.2f} GiB: memory has no room for them.")
    return _on_disk(data, transform, folder)


def estimate_bytes(data: Sequence[dict[str, Any]], transform: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Estimate the size of all preprocessed cases in bytes from ``SAMPLES_TO_ESTIMATE`` of them, spread over the list.

    The largest sample stands for all, so that the estimate errs on the safe side.
    """
    if not data:
        return 0
    chosen = np.unique(np.linspace(0, len(data) - 1, min(SAMPLES_TO_ESTIMATE, len(data))).astype(int))
    return len(data) * max((_item_bytes(transform(data[i])) for i in chosen), default=0)


class _Move(Transform):
    """Moves the tensors of an item to a device; the grids of its volumes stay where MONAI keeps them, on the CPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        return {key: value.to(self.device) if isinstance(value, torch.Tensor) else value for key, value in item.items()}


def _then_moved(transform: Compose, device: torch.device) -> Compose:
    return transform if device == CPU else Compose([*transform.transforms, _Move(device)])


def _free_bytes(device: torch.device) -> int:
    return int(torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available)


def _in_memory(data: Sequence[dict[str, Any]], transform: Compose, num_workers: int, progress: bool) -> CacheDataset:
    others = set(threading.enumerate())
    try:
        return CacheDataset(data, transform, num_workers=num_workers, progress=progress, copy_cache=False)
    finally:
        # after an error MONAI leaves the threads of its pool at work: the interpreter aborts if it ends before them
        for thread in set(threading.enumerate()) - others:
            if isinstance(thread, DummyProcess):
                thread.join()


def _on_disk(data: Sequence[dict[str, Any]], transform: Compose, folder: str) -> PersistentDataset:
    # with track_meta the volumes keep their grid; what this process has written itself is safe to unpickle
    dataset = PersistentDataset(data, transform, cache_dir=folder, track_meta=True, weights_only=False)
    weakref.finalize(dataset, remove_own_folder, folder, os.getpid())
    return dataset


def remove_own_folder(folder: str, owner: int) -> None:
    """Remove a folder that process ``owner`` has made; not from a worker, which inherits the dataset and its end."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _prefix() -> str:
    # the folder may be shared by the machines of a cluster, whose process numbers say nothing of each other
    return f"volumes_{hashlib.sha256(platform.node().encode()).hexdigest()[:8]}_"


def _remove_orphans(cache_dir: Path) -> None:
    """Remove what a program on this machine left behind that was killed before it could tidy up."""
    for folder in cache_dir.glob(f"{_prefix()}*"):
        owner = folder.name.removeprefix(_prefix()).split("_")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _flat(transform: Callable[[dict[str, Any]], dict[str, Any]]) -> Compose:
    # MONAI caches up to the first random step, and counts a Compose within a Compose as one: nothing would be cached
    flat = transform.flatten() if type(transform) is Compose else Compose([transform])
    random = [type(step).__name__ for step in flat.transforms if isinstance(step, RandomizableTrait)]
    if random:
        raise ValueError(f"the transform of a cache must be deterministic, got {random}: put them behind the cache.")
    return flat


def _item_bytes(item: dict[str, Any]) -> int:
    return sum(value.numel() * value.element_size() for value in item.values() if isinstance(value, torch.Tensor))


def _disk_folder(cache_dir: Path, needed: int, free_memory: int) -> str:
    """Make a folder for this process alone: the volumes of another run may come from other settings or other files."""
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _remove_orphans(cache_dir)
        free_disk = shutil.disk_usage(cache_dir).free
        if needed <= free_disk:
            return tempfile.mkdtemp(prefix=f"{_prefix()}{os.getpid()}_", dir=cache_dir)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"cache_dir {cache_dir} cannot be written ({reason}). Choose another by --cache_dir."
        ) from error
    raise InputError(
        f"the cache needs about {needed / GIB:.1f} GiB, but only {free_memory / GIB:.1f} GiB of memory and "
        f"{free_disk / GIB:.1f} GiB of disk in {cache_dir} are free for it. Use fewer cases, a larger pixdim, or "
        "a --cache_dir on a disk with room."
    )

"""How many floating-point operations a second this machine reaches at best."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F

CONVOLUTIONS = ((64, 128), (128, 64), (256, 32), (256, 64))
"""Channels in and out, and size, of 3x3 convolutions of 8 images."""
PRODUCTS = (1024, 2048, 4096)
"""Sizes of square matrices."""
REPEATS = 8


def peak_flops(amp: bool = False) -> float:
    """Return the operations a second of the fastest of some large convolutions and matrix products.

    A multiplication and an addition count for two, as ``torch.utils.flop_counter`` counts.

    Args:
        amp: in bfloat16 instead of float32.
    """
    kind = torch.bfloat16 if amp else torch.float32
    with torch.inference_mode():
        return max(flops / fastest(work) for flops, work in _works(kind))


def fastest(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the seconds of the fastest of some repeats, after one that warms up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _works(kind: torch.dtype) -> Iterator[tuple[float, Callable[[], object]]]:
    for channels, size in CONVOLUTIONS:
        flops = 2.0 * 8 * channels * channels * 9 * size * size
        for layout in (torch.contiguous_format, torch.channels_last):
            images = torch.rand(8, channels, size, size).to(kind, memory_format=layout)
            kernels = torch.rand(channels, channels, 3, 3).to(kind, memory_format=layout)
            yield flops, lambda images=images, kernels=kernels: F.conv2d(images, kernels, padding=1)
    for size in PRODUCTS:
        one, other = torch.rand(size, size).to(kind), torch.rand(size, size).to(kind)
        yield 2.0 * size**3, lambda one=one, other=other: one @ other

"""What a measurement was made on: processor, memory, versions, commit."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path

import psutil
import torch

ROOT = Path(__file__).resolve().parents[1]

OURS = ("torch", "monai", "numpy", "nibabel")
PEERS = ("torch", "monai", "nnunetv2", "myopari", "onnxruntime")

_VERSIONS = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def machine_facts() -> dict[str, str]:
    """Return processor, cores, threads, memory and system."""
    memory_gib = psutil.virtual_memory().total / 2**30
    return {
        "processor": _processor(),
        "cores": f"{available_cores()} of {os.cpu_count()}",
        "torch threads": str(torch.get_num_threads()),
        "memory": f"{memory_gib:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "load before": load(),
    }


def load() -> str:
    """Return the mean number of running processes in the last minute: a timing wants it near 0."""
    return f"{psutil.getloadavg()[0]:.1f}"


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def versions(python: str, packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of packages as an interpreter finds them, those that are missing left out.

    Args:
        python: the interpreter.
        packages: names to install by.
    """
    found = subprocess.run([python, "-c", _VERSIONS, *packages], capture_output=True, text=True, check=True)
    return dict(json.loads(found.stdout))


def commit() -> str:
    """Return the commit of the working tree, marked where it has changes; ``unknown`` without git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return found.stdout.strip() or "unknown"


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    if file.is_file():
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

"""The network by ``torch.compile``."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
from pathlib import Path
from typing import cast

import torch
from torch import nn

from pipeline.errors import InputError

COMPILERS = ("c++", "g++", "clang++", "cl")


def compile_network(network: nn.Module, engine: str = "inductor") -> nn.Module:
    """Compile a network for images of any size.

    The first images take minutes: each new combination of sizes that cannot share code is compiled, a batch of one
    anew. It pays on large cohorts.

    Args:
        network: in evaluation mode.
        engine: ``backend`` of ``torch.compile``.
    """
    return cast(nn.Module, torch.compile(network, dynamic=True, backend=engine))


def require_compiler(device: torch.device) -> None:
    """Find out whether ``torch.compile`` has what it calls: a C++ compiler with Python's headers, or Triton on GPUs.

    Raises:
        InputError: it has not.
    """
    if device.type != "cpu":
        if importlib.util.find_spec("triton") is None:
            raise InputError("backend compile needs the package triton on a GPU. Use --backend folded.")
        return
    named = os.environ.get("CXX")
    if not any(shutil.which(name) for name in ([named] if named else COMPILERS)):
        raise InputError(
            f"backend compile needs a C++ compiler, found none of {named or ', '.join(COMPILERS)}. Install one "
            "(Debian: apt-get install g++), or use --backend folded."
        )
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.is_file():
        raise InputError(
            f"backend compile needs the headers of Python, found no {header}. Install them (Debian: apt-get install "
            "python3-dev), or use --backend folded."
        )

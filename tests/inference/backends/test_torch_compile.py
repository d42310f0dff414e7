from __future__ import annotations

import importlib.util
import shutil
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.errors import InputError
from pipeline.inference.backends.torch_compile import compile_network, require_compiler

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def find_nothing(*_: Any) -> None:
    return None


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with compiler and headers."""
    (tmp_path / "Python.h").touch()
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: name if name == "g++" else None)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))


# the graph is captured as it is for the default engine, whose C++ takes minutes to compile
def test_captured_network_computes_the_same() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()).eval()
    compiled = compile_network(net, engine="eager")
    for images in (torch.rand(2, 1, 9, 13), torch.rand(3, 1, 16, 8)):
        torch.testing.assert_close(compiled(images), net(images))


@pytest.mark.usefixtures("complete")
def test_machine_with_compiler_and_headers_passes() -> None:
    require_compiler(CPU)


@pytest.mark.usefixtures("complete")
def test_compiler_of_the_environment_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "icpx")
    with pytest.raises(InputError, match=r"needs a C\+\+ compiler, found none of icpx\. Install one"):
        require_compiler(CPU)


def test_machine_without_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", find_nothing)
    with pytest.raises(InputError, match=r"needs a C\+\+ compiler, found none of c\+\+, g\+\+, clang\+\+, cl\."):
        require_compiler(CPU)


@pytest.mark.usefixtures("complete")
def test_python_without_headers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Python.h").unlink()
    with pytest.raises(InputError, match=r"needs the headers of Python, found no .*Python\.h"):
        require_compiler(CPU)


def test_gpu_without_triton_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", find_nothing)
    with pytest.raises(InputError, match="backend compile needs the package triton on a GPU"):
        require_compiler(GPU)

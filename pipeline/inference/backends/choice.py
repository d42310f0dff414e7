"""The back end that a user asks for by name."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path

import torch
from torch import nn

from pipeline.errors import InputError
from pipeline.inference.backends import onnx_runtime, openvino_runtime
from pipeline.inference.backends.equality import TOLERANCE, first_line, largest_difference, require_fitting
from pipeline.inference.backends.folding import fold_batch_norm
from pipeline.inference.backends.fusing import can_fuse, fuse_activations
from pipeline.inference.backends.packages import require_packages
from pipeline.inference.backends.torch_compile import compile_network, require_compiler
from pipeline.inference.backends.torchscript import open_torchscript, script_network


class Backend(str, Enum):
    """What runs the network. In float32 all give the same logits to 1e-3.

    Attributes:
        EAGER: PyTorch, layer by layer, as in training.
        FOLDED: PyTorch with batch normalization folded into the convolutions.
        FUSED: The same, and oneDNN adds bias and shortcut and applies ReLU in the convolutions' pass; on processors.
        COMPILE: ``torch.compile``.
        TORCHSCRIPT: TorchScript, or a ``.ts`` file.
        ONNX: onnxruntime on the CPU, from the weights or from an ``.onnx`` file.
        OPENVINO: OpenVINO on the CPU, from the weights or from an ``.xml`` or ``.onnx`` file.
    """

    EAGER = "eager"
    FOLDED = "folded"
    FUSED = "fused"
    COMPILE = "compile"
    TORCHSCRIPT = "torchscript"
    ONNX = "onnx"
    OPENVINO = "openvino"


PACKAGES = {Backend.ONNX: onnx_runtime.PACKAGES, Backend.OPENVINO: openvino_runtime.PACKAGES}
"""The runtime first; the others make its model from the weights."""
_CONVERT: dict[Backend, Callable[[nn.Module], nn.Module]] = {
    Backend.FUSED: fuse_activations,
    Backend.COMPILE: compile_network,
    Backend.TORCHSCRIPT: script_network,
    Backend.ONNX: onnx_runtime.convert_to_onnx,
    Backend.OPENVINO: openvino_runtime.convert_to_openvino,
}
_FOLDED = "Use --backend folded."
SUFFIXES = {Backend.TORCHSCRIPT: (".ts",), Backend.ONNX: (".onnx",), Backend.OPENVINO: (".xml", ".onnx")}
"""Of the exported files that a back end runs."""


def check_backend(backend: str, exported_file: str | Path, device: torch.device) -> Backend:
    """Find out whether this machine has a back end, before anything is loaded.

    Args:
        backend: name of a :class:`Backend`.
        exported_file: of an export; empty where the back end is made from the weights.
        device: to run on.

    Returns:
        The back end.

    Raises:
        InputError: there is no such back end, its package or compiler is missing, it does not run on ``device``, or
            ``exported_file`` is missing or of another kind.
    """
    names = [item.value for item in Backend]
    if str(backend) not in names:
        raise InputError(f"backend must be one of {', '.join(names)}, got '{backend}'.")
    kind = Backend(backend)
    if exported_file:
        _check_file(kind, Path(exported_file))
    if kind in PACKAGES:
        require_packages(PACKAGES[kind][: 1 if exported_file else None], kind.value)
        if device.type != "cpu":
            raise InputError(
                f"backend {kind.value} runs on the CPU, device is {device}. Give another --backend, or the CPU: "
                "--device \"\\$torch.device('cpu')\""
            )
    if kind is Backend.FUSED and not can_fuse(device):
        raise InputError(f"backend fused needs a processor and a PyTorch with oneDNN; device is {device}. {_FOLDED}")
    if kind is Backend.COMPILE:
        require_compiler(device)
    return kind


def _check_file(kind: Backend, path: Path) -> None:
    fitting = [item.value for item, suffixes in SUFFIXES.items() if path.suffix in suffixes]
    if not fitting:
        raise InputError(f"exported_file must be a .ts, .onnx or .xml file, got {path}.")
    if kind.value not in fitting:
        raise InputError(f"exported_file {path} needs --backend {' or '.join(fitting)}, got {kind.value}.")
    if not path.is_file():
        raise InputError(f"there is no exported_file {path}. Export the network first, or leave --exported_file out.")


def default_backend(device: torch.device, dtype: torch.dtype) -> Backend:
    """Return the fastest back end that needs no other package and no compiler."""
    return Backend.FUSED if can_fuse(device, dtype) else Backend.FOLDED


def with_backend(network: nn.Module, backend: Backend, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Have a network run by a back end.

    Args:
        network: with its weights loaded, on its device; it is not changed.
        backend: checked by :func:`check_backend`.
        dtype: of the convolutions, which matters where they are fused alone: eager and folded take it from
            ``torch.autocast``, and the others are in float32.

    Returns:
        What maps images ``(B, C, *spatial)`` to the same logits ``(B, K, *spatial)``; ``network`` itself where eager.

    Raises:
        InputError: it cannot run this network, or not in this ``dtype``, or its logits differ by more than 1e-3.
    """
    if backend is Backend.EAGER:
        return network
    folded = fold_batch_norm(network)
    if backend is Backend.FOLDED:
        return folded
    return _fused(folded, dtype) if backend is Backend.FUSED else _in_runtime(folded, backend)


def _fused(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    if not can_fuse("cpu", dtype):
        raise InputError(f"backend fused cannot compute in {dtype} on this processor. Use --amp false, or folded.")
    exact = _in_runtime(network, Backend.FUSED)
    return exact if dtype is torch.float32 else fuse_activations(network, dtype)


def _in_runtime(network: nn.Module, backend: Backend) -> nn.Module:
    try:
        converted = _CONVERT[backend](network)
        difference = largest_difference(converted, network)
    # the runtimes have no common class for what they cannot do
    except Exception as error:
        raise InputError(f"backend {backend.value} cannot run this network: {first_line(error)} {_FOLDED}") from error
    # a GPU rounds to TF32, each time in another order
    on_cpu = next(network.parameters()).device.type == "cpu"
    # not `>`: NaN is no equality either
    if on_cpu and not difference <= TOLERANCE:
        raise InputError(
            f"backend {backend.value} gives other logits than PyTorch: they differ by {difference:.2g}, allowed is "
            f"{TOLERANCE:g}. {_FOLDED}"
        )
    return converted


def open_exported(path: Path, backend: Backend, network: nn.Module, device: torch.device) -> nn.Module:
    """Open an exported network.

    Args:
        path: of the file.
        backend: checked by :func:`check_backend`.
        network: of the configuration, which says what the file must take and give; its weights do not matter.
        device: to run on.

    Raises:
        InputError: the file cannot be read, is fixed to one size, or belongs to another ``network``.
    """
    if backend is Backend.TORCHSCRIPT:
        opened: nn.Module = open_torchscript(path, device)
    elif backend is Backend.ONNX:
        opened = onnx_runtime.open_onnx(path)
    else:
        opened = openvino_runtime.open_openvino(path)
    require_fitting(opened, network.to(device), path)
    return opened

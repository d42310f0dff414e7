"""The network run by OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.errors import InputError
from pipeline.inference.backends.onnx_runtime import EXPORT_PACKAGES, export_onnx
from pipeline.inference.backends.packages import import_package

PACKAGES = ("openvino", *EXPORT_PACKAGES)


class OpenvinoNetwork(nn.Module):
    """Runs a model by OpenVINO on the CPU, with as many threads as torch has.

    Args:
        model: the path of an ``.xml`` (its ``.bin`` beside it) or ``.onnx`` file, or the content of the latter.
    """

    def __init__(self, model: Path | bytes) -> None:
        super().__init__()
        core = import_package(PACKAGES[0]).Core()
        read = core.read_model(model if isinstance(model, bytes) else str(model))
        self._run = core.compile_model(read, "CPU", settings())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, *spatial)`` to logits ``(B, K, *spatial)``."""
        images = np.ascontiguousarray(x.numpy(), dtype=np.float32)
        return torch.from_numpy(self._run(images)[0])


def settings() -> dict[str, Any]:
    """Return OpenVINO's settings: one request at a time, in full precision."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        # some processors would compute in bfloat16
        "INFERENCE_PRECISION_HINT": "f32",
        # processes side by side would be pinned to the same cores
        "ENABLE_CPU_PINNING": False,
    }


def convert_to_openvino(network: nn.Module) -> OpenvinoNetwork:
    """Turn a network on the CPU into an OpenVINO model."""
    return OpenvinoNetwork(export_onnx(network))


def open_openvino(path: Path) -> OpenvinoNetwork:
    """Read an ``.xml`` or ``.onnx`` file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return OpenvinoNetwork(path)
    except RuntimeError as error:
        raise InputError(
            f"exported_file {path} is no model that OpenVINO can read. An .xml needs its .bin beside it; else export "
            "it again."
        ) from error

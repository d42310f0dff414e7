"""The network as ONNX, run by onnxruntime."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pipeline.errors import InputError
from pipeline.inference.backends.example import example_images
from pipeline.inference.backends.packages import import_package

EXPORT_PACKAGES = ("onnx",)
PACKAGES = ("onnxruntime", *EXPORT_PACKAGES)
_ERRORS_ONLY = 3  # of onnxruntime's levels of severity


def export_onnx(network: nn.Module) -> bytes:
    """Export a network for any number and size of images.

    Args:
        network: in evaluation mode, on the CPU.

    Returns:
        An ONNX model with the input ``image`` ``(B, C, *spatial)`` and the output ``pred`` ``(B, K, *spatial)``.
    """
    image = example_images(network)[0]
    free = {0: "batch"} | {axis: f"size_{axis - 2}" for axis in range(2, image.ndim)}
    model = io.BytesIO()
    with warnings.catch_warnings():
        # of the tracer, on the checks of sizes, which hold for all sizes alike
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (image,),
            model,  # type: ignore[arg-type]  # torch's stub knows files alone
            input_names=["image"],
            output_names=["pred"],
            dynamic_axes={"image": free, "pred": free},
            # the older exporter takes 2 seconds, the other 20 and another package
            dynamo=False,
        )
    return model.getvalue()


class OnnxNetwork(nn.Module):
    """Runs an ONNX model by onnxruntime on the CPU, with as many threads as torch has.

    Args:
        model: the content of an ONNX file.
    """

    def __init__(self, model: bytes) -> None:
        super().__init__()
        runtime = import_package(PACKAGES[0])
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = _ERRORS_ONLY
        self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, *spatial)`` to logits ``(B, K, *spatial)``."""
        images = np.ascontiguousarray(x.numpy(), dtype=np.float32)
        return torch.from_numpy(self._session.run(None, {self._input: images})[0])


def convert_to_onnx(network: nn.Module) -> OnnxNetwork:
    """Turn a network on the CPU into an ONNX model."""
    return OnnxNetwork(export_onnx(network))


def open_onnx(path: Path) -> OnnxNetwork:
    """Read an ONNX file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return OnnxNetwork(path.read_bytes())
    # onnxruntime derives its many errors from Exception alone
    except Exception as error:
        raise InputError(f"exported_file {path} is no ONNX model that can be read. Export it again.") from error

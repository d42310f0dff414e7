"""The network in integers of 8 bits, as an ONNX model that onnxruntime runs on the CPU."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.inference.backends.onnx_runtime import PACKAGES, export_onnx
from pipeline.inference.backends.packages import import_package


def quantize(network: nn.Module, images: Sequence[torch.Tensor]) -> bytes:
    """Turn a network into an ONNX model whose convolutions compute with integers of 8 bits.

    Weights have a scale for each output channel, activations one for each map, from their smallest and largest value
    on ``images``. What is no convolution stays in float32.

    Args:
        network: in evaluation mode, on the CPU, batch normalization folded.
        images: batches ``(B, C, *spatial)`` such as it will be given, of any sizes.

    Returns:
        The model, for any number and size of images.

    Source:
        Jacob et al., Quantization and Training of Neural Networks, 2018 (https://arxiv.org/abs/1712.05877);
        onnxruntime's static quantization, in the form of quantize and dequantize nodes.
    """
    quantization = import_package(f"{PACKAGES[0]}.quantization")
    preparation = import_package(f"{PACKAGES[0]}.quantization.shape_inference")
    with TemporaryDirectory() as folder, _quiet():
        exported, prepared, quantized = (Path(folder) / f"{name}.onnx" for name in ("exported", "prepared", "int8"))
        exported.write_bytes(export_onnx(network))
        # its symbolic part is for transformers and needs another package
        preparation.quant_pre_process(exported, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            quantized,
            _Batches(images),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            # unsigned activations are those that onnxruntime has fast kernels for
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        return quantized.read_bytes()


class _Batches:
    """What onnxruntime asks for one batch after the other, ``None`` at the end."""

    def __init__(self, images: Sequence[torch.Tensor]) -> None:
        self._rest: Iterator[NDArray[np.float32]] = (np.ascontiguousarray(batch.numpy()) for batch in images)

    def get_next(self) -> Mapping[str, Any] | None:
        batch = next(self._rest, None)
        return None if batch is None else {"image": batch}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what onnxruntime tells the root logger: a line for each bias that it copies."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(level)

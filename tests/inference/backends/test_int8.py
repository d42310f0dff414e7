from __future__ import annotations

import logging

import onnx
import pytest
import torch
from torch import nn

from pipeline.inference.backends.folding import fold_batch_norm
from pipeline.inference.backends.int8 import quantize
from pipeline.inference.backends.onnx_runtime import OnnxNetwork


@pytest.fixture(scope="module")
def calibration() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(number, 1, *size, generator=generator) for number, size in ((2, (16, 12)), (1, (9, 30)))]


@pytest.fixture(scope="module")
def model(network: nn.Module, calibration: list[torch.Tensor]) -> bytes:
    return quantize(fold_batch_norm(network), calibration)


def test_logits_are_near_and_not_equal(network: nn.Module, model: bytes, images: torch.Tensor) -> None:
    expected = network(images)
    difference = (OnnxNetwork(model)(images) - expected).abs().max()
    # a step of 8 bits is the 255th part of a map's range; each layer adds its own
    assert 0 < difference < 0.05 * (expected.max() - expected.min())


def test_every_convolution_has_weights_of_8_bits(network: nn.Module, model: bytes) -> None:
    graph = onnx.load_from_string(model).graph
    integers = [weight for weight in graph.initializer if weight.data_type == onnx.TensorProto.INT8 and weight.dims]
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    kernels = sorted(tuple(weight.dims) for weight in integers if len(weight.dims) == 4)
    assert kernels == sorted(tuple(layer.weight.shape) for layer in convolutions)


def test_ranges_are_those_of_the_calibration(network: nn.Module, images: torch.Tensor) -> None:
    # activations ten times as large as any that was seen are cut off
    narrow = OnnxNetwork(quantize(fold_batch_norm(network), [torch.full((1, 1, 12, 12), 0.1)]))
    torch.testing.assert_close(narrow(images.clamp(min=0.2)), narrow(torch.full_like(images, 0.1)))


def test_log_of_others_is_as_before(
    network: nn.Module, calibration: list[torch.Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    before = logging.root.level
    quantize(fold_batch_norm(network), calibration)
    assert (logging.root.level, caplog.text) == (before, "")

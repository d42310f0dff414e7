from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from pipeline.errors import InputError
from pipeline.inference.backends.onnx_runtime import OnnxNetwork, convert_to_onnx, export_onnx, open_onnx


@pytest.fixture(scope="module")
def model(network: nn.Module) -> bytes:
    return export_onnx(network)


@pytest.fixture
def threads() -> Iterator[int]:
    """Another number of torch's threads than this process has."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


def test_model_computes_the_same(network: nn.Module, model: bytes, images: torch.Tensor) -> None:
    torch.testing.assert_close(OnnxNetwork(model)(images), network(images), rtol=0, atol=1e-4)


def test_converted_network_computes_the_same(network: nn.Module, images: torch.Tensor) -> None:
    torch.testing.assert_close(convert_to_onnx(network)(images), network(images), rtol=0, atol=1e-4)


def test_images_in_any_order_of_memory(network: nn.Module, model: bytes) -> None:
    images = torch.rand(2, 9, 12, 1).permute(0, 3, 2, 1)
    torch.testing.assert_close(OnnxNetwork(model)(images), network(images), rtol=0, atol=1e-4)


def test_model_is_valid_and_free_in_number_and_size(model: bytes) -> None:
    graph = onnx.load_from_string(model).graph
    onnx.checker.check_model(model)
    shapes = [
        [axis.dim_param or axis.dim_value for axis in end.type.tensor_type.shape.dim]
        for end in (*graph.input, *graph.output)
    ]
    assert shapes == [["batch", channels, "size_0", "size_1"] for channels in (1, 4)]


def test_file_computes_the_same(network: nn.Module, model: bytes, images: torch.Tensor, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(model)
    torch.testing.assert_close(open_onnx(tmp_path / "model.onnx")(images), network(images), rtol=0, atol=1e-4)


def test_it_has_the_threads_of_torch(model: bytes, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *args, **kw: given.append(args) or session(*args, **kw))
    OnnxNetwork(model)
    assert given[0][1].intra_op_num_threads == threads


def test_damaged_file_is_refused(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(model[:1000])
    with pytest.raises(InputError, match=r"exported_file .*model\.onnx is no ONNX model that can be read"):
        open_onnx(tmp_path / "model.onnx")

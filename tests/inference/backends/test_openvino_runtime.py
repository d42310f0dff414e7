from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.errors import InputError
from pipeline.inference.backends.onnx_runtime import export_onnx
from pipeline.inference.backends.openvino_runtime import OpenvinoNetwork, convert_to_openvino, open_openvino, settings
from pipeline.inference.backends.packages import import_package

openvino = import_package("openvino")


@pytest.fixture(scope="module")
def converted(network: nn.Module) -> OpenvinoNetwork:
    return convert_to_openvino(network)


@pytest.fixture(scope="module")
def files(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network as ``model.onnx``, and as ``model.xml`` with ``model.bin``."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "model.onnx").write_bytes(export_onnx(network))
    openvino.save_model(openvino.Core().read_model(folder / "model.onnx"), folder / "model.xml", compress_to_fp16=False)
    return folder


@pytest.fixture
def threads() -> Iterator[int]:
    """Another number of torch's threads than this process has."""
    before = torch.get_num_threads()
    torch.set_num_threads(2 if before == 1 else 1)
    yield torch.get_num_threads()
    torch.set_num_threads(before)


def test_model_computes_the_same(converted: OpenvinoNetwork, network: nn.Module, images: torch.Tensor) -> None:
    torch.testing.assert_close(converted(images), network(images), rtol=0, atol=1e-4)


def test_results_of_earlier_images_stay(converted: OpenvinoNetwork) -> None:
    first = converted(torch.zeros(1, 1, 8, 8))
    kept = first.clone()
    converted(torch.ones(1, 1, 8, 8))
    assert torch.equal(first, kept)


@pytest.mark.parametrize("name", ["model.onnx", "model.xml"])
def test_file_computes_the_same(files: Path, name: str, network: nn.Module, images: torch.Tensor) -> None:
    torch.testing.assert_close(open_openvino(files / name)(images), network(images), rtol=0, atol=1e-4)


def test_it_has_the_threads_of_torch(threads: int) -> None:
    assert settings()["INFERENCE_NUM_THREADS"] == threads


def test_settings_reach_the_runtime(converted: OpenvinoNetwork) -> None:
    known = {name: converted._run.get_property(name) for name in settings()}
    assert known["INFERENCE_NUM_THREADS"] == torch.get_num_threads()
    assert known["ENABLE_CPU_PINNING"] is False
    assert known["INFERENCE_PRECISION_HINT"] == openvino.Type.f32


@pytest.mark.parametrize("content", ["<net", ""], ids=["damaged", "without weights"])
def test_file_that_cannot_be_read_is_refused(files: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "model.xml").write_text(content or (files / "model.xml").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(InputError, match=r"exported_file .*model\.xml is no model that OpenVINO can read"):
        open_openvino(tmp_path / "model.xml")

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.errors import InputError
from pipeline.inference.backends import Backend, check_backend, choice, default_backend, open_exported, with_backend
from pipeline.inference.backends.onnx_runtime import export_onnx
from pipeline.networks import ASPPNet, MeanEnsemble

CPU, GPU = torch.device("cpu"), torch.device("cuda")
# PyTorch for macOS comes without oneDNN
HERE = Backend.FUSED if torch.backends.mkldnn.is_available() else Backend.FOLDED
RUNTIMES = [*dict.fromkeys([Backend.FOLDED, HERE]), Backend.TORCHSCRIPT, Backend.ONNX, Backend.OPENVINO]


@pytest.fixture
def onnx_file(network: nn.Module, tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(export_onnx(network))
    return tmp_path / "model.onnx"


def test_eager_is_the_network_itself(network: nn.Module) -> None:
    assert with_backend(network, Backend.EAGER) is network


@pytest.mark.parametrize("backend", RUNTIMES)
def test_logits_are_those_of_the_network(network: nn.Module, images: torch.Tensor, backend: Backend) -> None:
    found = with_backend(network, backend)
    assert isinstance(found, nn.Module)
    torch.testing.assert_close(found(images), network(images), rtol=0, atol=1e-4)


@pytest.mark.parametrize("backend", RUNTIMES)
def test_mean_of_several_networks_is_run_too(network: nn.Module, backend: Backend) -> None:
    ensemble, images = MeanEnsemble([network, network]).eval(), torch.rand(3, 1, 9, 14)
    torch.testing.assert_close(with_backend(ensemble, backend)(images), ensemble(images), rtol=0, atol=1e-4)


@pytest.mark.parametrize("backend", [Backend.ONNX, Backend.OPENVINO])
def test_network_that_cannot_be_exported_is_refused(backend: Backend) -> None:
    attention = {"transformer_layers": 1, "transformer_heads": 2}
    net = ASPPNet(channels=(4, 6), strides=(1, 2), num_res_units=(1, 1), dilations=(1,), **attention)
    with pytest.raises(InputError, match=rf"backend {backend.value} cannot run this network: .*Use --backend folded\."):
        with_backend(net.eval(), backend)


def test_runtime_that_computes_otherwise_is_refused(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(choice._CONVERT, Backend.ONNX, lambda folded: lambda x: folded(x) + 0.002)
    with pytest.raises(InputError, match=r"backend onnx gives other logits .* differ by 0\.002, allowed is 0\.001"):
        with_backend(network, Backend.ONNX)


@pytest.mark.parametrize("name", [item.value for item in Backend if item is not Backend.FUSED or item is HERE])
def test_backend_is_known_by_its_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "require_compiler", lambda device: None)
    assert check_backend(name, "", CPU).value == name


def test_unknown_backend_is_refused() -> None:
    message = "backend must be one of eager, folded, fused, compile, torchscript, onnx, openvino, got 'tensorrt'"
    with pytest.raises(InputError, match=message):
        check_backend("tensorrt", "", CPU)


@pytest.mark.parametrize(
    ("name", "missing", "command"),
    [
        ("onnx", "onnxruntime", "onnxruntime onnx"),
        ("onnx", "onnx", "onnxruntime onnx"),
        ("openvino", "openvino", "openvino onnx"),
        ("openvino", "onnx", "openvino onnx"),
    ],
)
def test_missing_package_is_named(name: str, missing: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    message = f"backend {name} needs the package {missing}, .*python -m pip install {command}"
    with pytest.raises(InputError, match=message):
        check_backend(name, "", CPU)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_exported_file_is_run_without_what_exports(name: str, onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert check_backend(name, onnx_file, CPU).value == name


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_backend_of_the_cpu_is_refused_on_a_gpu(name: str) -> None:
    with pytest.raises(InputError, match=rf"backend {name} runs on the CPU, device is cuda\. .*torch\.device\('cpu'\)"):
        check_backend(name, "", GPU)


def test_fused_is_refused_where_onednn_is_not() -> None:
    with pytest.raises(InputError, match=r"fused needs a processor .* device is cuda\. Use --backend folded"):
        check_backend("fused", "", GPU)


def test_fused_network_that_computes_otherwise_is_refused(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "can_fuse", lambda device, dtype: True)
    monkeypatch.setitem(choice._CONVERT, Backend.FUSED, lambda folded: lambda x: folded(x) + 0.002)
    with pytest.raises(InputError, match=r"fused gives other logits than PyTorch: .* Use --backend folded"):
        with_backend(network, Backend.FUSED, torch.bfloat16)


def test_fused_in_bfloat16_is_refused_where_the_processor_has_no_instructions(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "can_fuse", lambda device, dtype: dtype is torch.float32)
    with pytest.raises(InputError, match=r"fused cannot compute in torch\.bfloat16 on this processor"):
        with_backend(network, Backend.FUSED, torch.bfloat16)


@pytest.mark.parametrize(("device", "expected"), [(CPU, HERE), (GPU, Backend.FOLDED)])
def test_what_runs_without_another_word(device: torch.device, expected: Backend) -> None:
    assert default_backend(device, torch.float32) is expected


def test_missing_compiler_is_found_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=r"backend compile needs a C\+\+ compiler"):
        check_backend("compile", "", CPU)


@pytest.mark.parametrize(
    ("name", "file", "message"),
    [
        ("onnx", "model.pt", r"must be a \.ts, \.onnx or \.xml file, got model\.pt"),
        ("folded", "model.onnx", r"model\.onnx needs --backend onnx or openvino, got folded"),
        ("onnx", "model.xml", r"model\.xml needs --backend openvino, got onnx"),
        ("openvino", "model.ts", r"model\.ts needs --backend torchscript, got openvino"),
        ("torchscript", "model.ts", r"there is no exported_file model\.ts"),
    ],
)
def test_file_of_another_kind_is_refused(name: str, file: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_backend(name, file, CPU)


@pytest.mark.parametrize("backend", [Backend.ONNX, Backend.OPENVINO])
def test_exported_file_computes_the_same(onnx_file: Path, network: nn.Module, backend: Backend) -> None:
    images = torch.rand(3, 1, 9, 14)
    opened = open_exported(onnx_file, backend, network, CPU)
    torch.testing.assert_close(opened(images), network(images), rtol=0, atol=1e-4)


def test_exported_script_computes_the_same(network: nn.Module, tmp_path: Path) -> None:
    images = torch.rand(3, 1, 9, 14)
    torch.jit.save(torch.jit.script(network), tmp_path / "model.ts")
    opened = open_exported(tmp_path / "model.ts", Backend.TORCHSCRIPT, network, CPU)
    torch.testing.assert_close(opened(images), network(images))


def test_exported_file_of_another_network_is_refused(onnx_file: Path, network: nn.Module) -> None:
    other = ASPPNet(channels=(4, 6), strides=(1, 2), num_res_units=(1, 1), dilations=(1, 2), out_channels=3)
    with pytest.raises(InputError, match=r"gives maps of shape \(2, 4, 8, 8\) where network_def gives \(2, 3, 8, 8\)"):
        open_exported(onnx_file, Backend.ONNX, other, CPU)

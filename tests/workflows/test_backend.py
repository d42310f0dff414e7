from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from pipeline.errors import InputError
from pipeline.inference.mixed_precision import BFloat16Network
from pipeline.networks import ASPPNet
from pipeline.workflows import load_backend, usual_backend

CPU = torch.device("cpu")
# PyTorch for macOS comes without oneDNN
FASTEST = "fused" if torch.backends.mkldnn.is_available() else "folded"


def small() -> ASPPNet:
    return ASPPNet(channels=(4, 6), strides=(1, 2), num_res_units=(1, 1), dilations=(1,), dropout=0.5)


@pytest.fixture
def saved(tmp_path: Path) -> ASPPNet:
    """A network whose weights are in ``model.pt`` and ``model.ts``."""
    network = small().eval()
    torch.save(network.state_dict(), tmp_path / "model.pt")
    torch.jit.save(torch.jit.script(network), tmp_path / "model.ts")
    return network


@pytest.mark.parametrize("backend", ["eager", "folded", FASTEST])
def test_back_end_has_the_saved_weights(saved: ASPPNet, tmp_path: Path, backend: str) -> None:
    images = torch.rand(2, 1, 8, 12)
    network = load_backend(small(), tmp_path / "model.pt", CPU, backend)
    torch.testing.assert_close(network(images), saved(images), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("backend", "mixed"), [("eager", True), ("folded", True), (FASTEST, True), ("torchscript", False)]
)
def test_mixed_precision_is_of_pytorch_on_a_processor(
    saved: ASPPNet, tmp_path: Path, backend: str, mixed: bool
) -> None:
    images = torch.rand(2, 1, 8, 12)
    network = load_backend(small(), tmp_path / "model.pt", CPU, backend, precision="bfloat16")
    assert isinstance(network, BFloat16Network) is mixed
    torch.testing.assert_close(network(images), saved(images), rtol=0, atol=0.05 if mixed else 1e-5)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_other_precisions_leave_the_network_as_it_is(saved: ASPPNet, tmp_path: Path, precision: str) -> None:
    network = load_backend(small(), tmp_path / "model.pt", CPU, "eager", precision=precision)
    assert isinstance(network, ASPPNet)


@pytest.mark.parametrize(
    ("device", "precision", "expected"), [("cpu", "float32", FASTEST), ("cuda", "float16", "folded")]
)
def test_usual_back_end_is_the_fastest_without_another_package(device: str, precision: str, expected: str) -> None:
    assert usual_backend(torch.device(device), precision) == expected


def test_mean_of_several_is_run_by_the_back_end(saved: ASPPNet, tmp_path: Path) -> None:
    images = torch.rand(2, 1, 8, 12)
    again = shutil.copy(tmp_path / "model.pt", tmp_path / "again.pt")
    network = load_backend(small(), [tmp_path / "model.pt", again], CPU, "folded")
    torch.testing.assert_close(network(images), saved(images).log_softmax(dim=1), rtol=0, atol=1e-5)


def test_network_of_the_configuration_keeps_its_normalization(saved: ASPPNet, tmp_path: Path) -> None:
    network = small()
    load_backend(network, tmp_path / "model.pt", CPU, "folded")
    assert network.state_dict().keys() == saved.state_dict().keys()


def test_exported_file_needs_no_weights(saved: ASPPNet, tmp_path: Path) -> None:
    images = torch.rand(2, 1, 8, 12)
    network = load_backend(small(), "missing.pt", CPU, "torchscript", tmp_path / "model.ts")
    torch.testing.assert_close(network(images), saved(images))


def test_back_end_is_checked_before_weights_are_read() -> None:
    with pytest.raises(InputError, match="backend must be one of"):
        load_backend(small(), "missing.pt", CPU, "fast")

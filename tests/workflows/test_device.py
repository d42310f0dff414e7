from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.errors import InputError
from pipeline.networks import ASPPNet
from pipeline.workflows import check_cache_device, fast_in_16_bits, load_network, pins_memory, place, precision
from pipeline.workflows.device import require_device


def small(spatial_dims: int = 2) -> ASPPNet:
    return ASPPNet(spatial_dims, channels=(4, 6), strides=(1, 2), num_res_units=(1, 1), dilations=(1,), dropout=0.5)


@pytest.mark.parametrize(("spatial_dims", "order"), [(2, torch.channels_last), (3, torch.channels_last_3d)])
def test_convolutions_get_the_order_that_is_fast(spatial_dims: int, order: torch.memory_format) -> None:
    network = place(small(spatial_dims), "cpu")
    weights = [parameter for parameter in network.parameters() if parameter.ndim == spatial_dims + 2]
    assert all(weight.is_contiguous(memory_format=order) for weight in weights)


def test_placed_network_computes_the_same() -> None:
    network, image = small().eval(), torch.rand(1, 1, 8, 8)
    before = network(image)
    assert torch.allclose(place(network, torch.device("cpu"))(image), before, atol=1e-6)


def test_network_without_convolutions_is_placed_too() -> None:
    assert place(nn.Linear(2, 1), "cpu").weight.device.type == "cpu"


def test_loaded_network_predicts_with_the_saved_weights(tmp_path: Path) -> None:
    saved, image = small().eval(), torch.rand(1, 1, 8, 8)
    torch.save(saved.state_dict(), tmp_path / "model.pt")
    network = load_network(small(), tmp_path / "model.pt", "cpu")
    assert not network.training
    assert torch.allclose(network(image), saved(image), atol=1e-6)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(small().state_dict(), tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"model.pt holds the weights of another network than ASPPNet"):
        load_network(small(spatial_dims=3), tmp_path / "model.pt", "cpu")


def test_device_of_this_machine_passes() -> None:
    require_device(torch.device("cpu"))


@pytest.mark.parametrize("device", ["cuda:77", "gpu", torch.device("cuda:77")])
def test_device_that_is_not_there_is_refused(device: torch.device | str) -> None:
    with pytest.raises(InputError, match=r"device must be one of this machine, which has cpu.*, got '(cuda:77|gpu)'"):
        require_device(device)


def test_name_of_a_device_is_refused_with_the_way_to_write_it() -> None:
    with pytest.raises(InputError, match=r"got the text 'cpu'. Write it as --device \"\\\$torch.device\('cpu'\)\""):
        require_device("cpu")


@pytest.mark.parametrize(("device", "num_workers"), [("cpu", 0), ("cpu", 2), (torch.device("cpu"), 2), ("meta", 0)])
def test_cache_on_a_device_of_this_machine_passes(device: torch.device | str, num_workers: int) -> None:
    check_cache_device(device, num_workers)


@pytest.mark.parametrize("device", ["cuda:77", "gpu"])
def test_cache_on_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(InputError, match=r"cache_device must be one of this machine, .* got '(cuda:77|gpu)'"):
        check_cache_device(device, num_workers=0)


def test_cache_that_other_processes_cannot_read_is_refused() -> None:
    with pytest.raises(InputError, match=r"num_workers must be 0 where cache_device is meta: .*, got 2"):
        check_cache_device("meta", num_workers=2)


@pytest.mark.parametrize(
    ("device", "cache_device", "expected"),
    [("cuda", "cpu", True), ("cuda:1", "cpu", True), ("cuda", "cuda", False), ("cpu", "cpu", False)],
)
def test_batches_are_pinned_on_their_way_from_the_cpu_to_a_gpu(device: str, cache_device: str, expected: bool) -> None:
    assert pins_memory(torch.device(device), cache_device) is expected


@pytest.mark.parametrize(
    ("has", "expected"),
    [
        ({}, False),
        ({"avx512_bf16": False, "avx512_vnni": True}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
    ],
)
def test_processor_with_instructions_for_bfloat16_is_fast_in_16_bits(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, bool], expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert fast_in_16_bits("cpu") is expected


def test_capabilities_have_the_names_that_are_asked_for() -> None:
    # on x86; elsewhere torch names others
    known = torch.cpu.get_capabilities()
    assert known["architecture"] != "x86_64" or {"avx512_bf16", "amx_bf16"} <= known.keys()


@pytest.mark.parametrize(("device", "expected"), [("cuda", True), ("cuda:1", True), ("mps", False)])
def test_gpu_of_nvidia_is_fast_in_16_bits(device: str, expected: bool) -> None:
    assert fast_in_16_bits(torch.device(device)) is expected


@pytest.mark.parametrize(
    ("amp", "device", "expected"),
    [
        (True, "cpu", "bfloat16"),
        ("true", "cuda:1", "float16"),
        (False, "cuda", "float32"),
        ("false", "cpu", "float32"),
        ("off", "mps", "float32"),
    ],
)
def test_precision_is_that_of_the_device(amp: bool | str, device: str, expected: str) -> None:
    assert precision(amp, torch.device(device)) == expected


def test_mixed_precision_is_refused_where_there_is_none() -> None:
    with pytest.raises(InputError, match=r"amp is for cuda and cpu, device is mps\. Give --amp false"):
        precision("true", torch.device("mps"))


def test_amp_must_be_a_flag() -> None:
    with pytest.raises(InputError, match="amp must be true or false, got 'half'"):
        precision("half", "cpu")

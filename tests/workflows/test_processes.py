"""What each of several processes does; two real ones train in ``tests/bundles/test_processes.py``."""

from __future__ import annotations

import pytest
import torch

from pipeline.errors import InputError
from pipeline.workflows.processes import (
    end_processes,
    is_first_process,
    lost_process_explained,
    rank_device,
    share_cases,
    start_processes,
    wait_for_all,
)

CASES = [{"case_id": name} for name in "abcde"]


def test_one_process_has_all_cases() -> None:
    assert share_cases(CASES, num_replicas=1, rank=0) == CASES


def test_each_case_belongs_to_one_process() -> None:
    shares = [[case["case_id"] for case in share_cases(CASES, num_replicas=2, rank=rank)] for rank in (0, 1)]
    assert shares == [["a", "c", "e"], ["b", "d"]]


def test_fewer_cases_than_processes_are_refused() -> None:
    with pytest.raises(InputError, match=r"5 validation cases are too few for 6 processes: .* --nproc_per_node"):
        share_cases(CASES, num_replicas=6, rank=0)


def test_program_that_torchrun_did_not_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(InputError, match="need one process a GPU"):
        start_processes("cpu")


def test_single_process_is_the_first_and_waits_for_nobody() -> None:
    wait_for_all()
    end_processes()
    assert is_first_process()


def test_processes_part_together(monkeypatch: pytest.MonkeyPatch) -> None:
    did: list[str] = []
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_backend", lambda: "gloo")
    monkeypatch.setattr(torch.distributed, "barrier", lambda: did.append("barrier"))
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: did.append("destroy_process_group"))
    end_processes()
    assert did == ["barrier", "destroy_process_group"]


def test_process_parts_from_one_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def barrier() -> None:
        raise RuntimeError("Connection closed by peer [127.0.0.1]:34567")

    did: list[str] = []
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_backend", lambda: "gloo")
    monkeypatch.setattr(torch.distributed, "barrier", barrier)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: did.append("destroy_process_group"))
    end_processes()
    assert did == ["destroy_process_group"]


def test_process_of_a_machine_without_gpus_has_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert rank_device() == torch.device("cpu")


def test_process_has_the_gpu_of_its_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert rank_device() == torch.device("cuda:1")
    assert chosen == [torch.device("cuda:1")]


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(InputError, match=r"--nproc_per_node must be at most 2, .* got 3 or more"):
        rank_device()


@pytest.mark.parametrize(("device", "backend"), [("cpu", "gloo"), ("cuda:1", "nccl")])
def test_device_decides_how_the_processes_speak(device: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str] = []
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda name, timeout: chosen.append(name))
    start_processes(device)
    assert chosen == [backend]


@pytest.fixture
def second_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("is_initialized", True), ("get_rank", 1), ("get_world_size", 2)):
        monkeypatch.setattr(torch.distributed, name, lambda value=value: value)


@pytest.mark.usefixtures("second_of_two")
def test_lost_process_is_told_in_plain_words() -> None:
    words = r"process 1 of 2 has lost another .*--resume true.*closed by peer \[::1\]"
    with pytest.raises(InputError, match=words), lost_process_explained():
        raise RuntimeError("gloo: Connection closed by peer [::1]:80\nlong story")


@pytest.mark.usefixtures("second_of_two")
def test_other_errors_of_one_of_the_processes_stay() -> None:
    with pytest.raises(RuntimeError, match="out of memory"), lost_process_explained():
        raise RuntimeError("out of memory")


def test_single_process_has_lost_nobody() -> None:
    with pytest.raises(RuntimeError, match="Broken pipe"), lost_process_explained():
        raise RuntimeError("Broken pipe")

"""What each of several processes does; two real ones train in ``tests/bundles/test_processes.py``."""

from __future__ import annotations

import pytest
import torch

from pipeline.errors import InputError
from pipeline.workflows.processes import (
    end_processes,
    is_first_process,
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
    with pytest.raises(InputError, match="needs one process a GPU"):
        start_processes()


def test_single_process_is_the_first_and_waits_for_nobody() -> None:
    wait_for_all()
    end_processes()
    assert is_first_process()


def test_process_of_a_machine_without_gpus_has_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert rank_device() == torch.device("cpu")


def test_process_has_the_gpu_of_its_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert rank_device() == torch.device("cuda:1")
    assert chosen == [torch.device("cuda:1")]

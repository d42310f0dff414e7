from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch

from pipeline.inference import concurrency
from pipeline.inference.concurrency import Background, ReadAhead, is_large
from pipeline.inference.reading import ReadScan, ScanReader

WAIT_S = 10.0


class Reads:
    """Notes what was read, and by which thread."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.threads: list[threading.Thread] = []
        self.read_next = threading.Event()

    def __call__(self, item: int) -> dict[str, torch.Tensor]:
        self.done.append(item)
        self.threads.append(threading.current_thread())
        if item == 1:
            self.read_next.set()
        return {"image": torch.zeros(1, 2, 3, item + 1)}


@pytest.fixture
def reads() -> Reads:
    return Reads()


def test_next_scan_is_read_while_one_is_worked_on(reads: Reads) -> None:
    scans = iter(ReadAhead(ScanReader([0, 1, 2], reads)))
    assert next(scans).index == 0
    assert reads.read_next.wait(WAIT_S)
    assert [scan.index for scan in scans] == [1, 2]
    assert reads.done == [0, 1, 2]
    assert reads.threads[1] is not threading.main_thread()


def test_nothing_is_read_beside_a_large_scan(reads: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "AHEAD_VOXELS", 5)
    scans = iter(ReadAhead(ScanReader([0, 1], reads)))
    next(scans)
    assert reads.done == [0]
    next(scans)
    assert reads.threads == [threading.main_thread()] * 2


def test_length_is_that_of_the_cohort(reads: Reads) -> None:
    assert len(ReadAhead(ScanReader([0, 1, 2], reads, [1]))) == 1
    assert list(ReadAhead(ScanReader([], reads))) == []


@pytest.mark.parametrize(("voxels", "large"), [(2**25, False), (2**25 + 1, True)])
def test_scan_is_large_from_a_number_of_voxels_on(voxels: int, large: bool) -> None:
    assert is_large(ReadScan(0, {"image": torch.empty(voxels, device="meta")}, "", 0.0)) is large


def test_scan_that_was_not_read_is_not_large() -> None:
    assert not is_large(ReadScan(0, None, "it is damaged", 0.0))


def test_work_is_done_in_its_order_by_another_thread() -> None:
    done: list[tuple[int, bool]] = []

    def work(number: int) -> Callable[[], None]:
        return lambda: done.append((number, threading.current_thread() is threading.main_thread()))

    with Background() as background:
        for number in range(3):
            background.do(work(number))
    assert done == [(0, False), (1, False), (2, False)]


def test_next_work_waits_for_the_last() -> None:
    entered, go_on, done = threading.Event(), threading.Event(), []

    def slow() -> None:
        entered.set()
        go_on.wait(WAIT_S)
        done.append("slow")

    with Background() as background:
        background.do(slow)
        assert entered.wait(WAIT_S)
        assert done == []
        go_on.set()
        background.do(lambda: done.append("next"))
        assert done[0] == "slow"


def test_what_work_raises_is_raised_where_it_is_waited_for() -> None:
    def fail() -> None:
        raise SystemError("broken")

    with Background() as background:
        background.do(fail)
        with pytest.raises(SystemError, match="broken"):
            background.wait()
        background.wait()

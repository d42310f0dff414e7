"""Whether the process of a run still lives."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import psutil
import pytest

from pipeline.errors import InputError
from pipeline.tracking import liveness
from pipeline.tracking.liveness import check_not_alive, process_mark

PARENT = os.getppid()
HOST = platform.node()


def seconds(process: int) -> int:
    return round(psutil.Process(process).create_time())


def mark_of(process: int, start: str = "") -> str:
    return f"{HOST}:{process}:{start or liveness._start(process)}"


def test_mark_names_host_and_process() -> None:
    assert process_mark() == mark_of(os.getpid())


def test_mark_of_a_process_stays_the_same() -> None:
    assert process_mark() == process_mark()


def test_processes_that_start_apart_have_other_starts() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert liveness._start(child.pid) != liveness._start(PARENT)


@pytest.mark.parametrize("start", ["", str(seconds(PARENT))], ids=["of this version", "in seconds"])
def test_living_process_is_an_error(start: str) -> None:
    with pytest.raises(InputError, match=rf"run 'abc' is still being recorded by process {PARENT} on "):
        check_not_alive(mark_of(PARENT, start), "abc")


def test_system_without_proc_counts_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "_BOOT_ID", liveness.Path("no such file"))
    assert liveness._start(PARENT) == f"{psutil.Process(PARENT).create_time():.0f}"


def test_clock_that_is_set_back_does_not_bury_the_living(monkeypatch: pytest.MonkeyPatch) -> None:
    if not liveness._BOOT_ID.is_file():
        monkeypatch.setattr(liveness, "_start", lambda process: "boot-17")
    mark = mark_of(PARENT)
    monkeypatch.setattr(liveness, "_start_time_s", lambda process: 0.0)
    with pytest.raises(InputError, match="still being recorded"):
        check_not_alive(mark, "abc")


@pytest.mark.parametrize(
    "mark",
    [
        "",
        "nonsense",
        "a:b:c",
        process_mark(),
        f"elsewhere{mark_of(PARENT)}",
        mark_of(PARENT, f"{seconds(PARENT) - 60}"),
        mark_of(PARENT, "otherboot-17"),
        mark_of(PARENT, "soon"),
        mark_of(999999999, "0"),
        mark_of(999999999, "boot-17"),
    ],
    ids=[
        "unknown",
        "nonsense",
        "no number",
        "this process",
        "other host",
        "number used again",
        "other boot",
        "no time",
        "dead",
        "dead since",
    ],
)
def test_any_other_mark_is_no_hindrance(mark: str) -> None:
    check_not_alive(mark, "abc")

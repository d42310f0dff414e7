"""Whether the process of a run still lives."""

from __future__ import annotations

import os
import platform

import psutil
import pytest

from pipeline.errors import InputError
from pipeline.tracking.liveness import check_not_alive, process_mark

PARENT = os.getppid()
HOST = platform.node()


def started(process: int) -> float:
    return round(psutil.Process(process).create_time())


def test_mark_names_host_process_and_start() -> None:
    assert process_mark() == f"{HOST}:{os.getpid()}:{started(os.getpid())}"


def test_living_process_is_an_error() -> None:
    with pytest.raises(InputError, match=rf"run 'abc' is still being recorded by process {PARENT} on "):
        check_not_alive(f"{HOST}:{PARENT}:{started(PARENT)}", "abc")


@pytest.mark.parametrize(
    "mark",
    [
        "",
        "nonsense",
        process_mark(),
        f"elsewhere{HOST}:{PARENT}:{started(PARENT)}",
        f"{HOST}:{PARENT}:{started(PARENT) - 60}",
        f"{HOST}:999999999:0",
    ],
    ids=["unknown", "nonsense", "this process", "other host", "number used again", "dead"],
)
def test_any_other_mark_is_no_hindrance(mark: str) -> None:
    check_not_alive(mark, "abc")

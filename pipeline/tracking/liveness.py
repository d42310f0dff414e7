"""Whether the process that records a run still lives."""

from __future__ import annotations

import math
import os
import platform

from pipeline.errors import InputError

PROCESS_TAG = "process"
CLOCK_TOLERANCE_S = 2.0
"""The start of a process is computed from that of the system, which moves when the clock is set."""


def process_mark() -> str:
    """Return ``host:process id:start time`` of this process; the time tells it from a later one of the same id."""
    return f"{platform.node()}:{os.getpid()}:{_start_time_s(os.getpid()):.0f}"


def check_not_alive(mark: str, run_id: str) -> None:
    """Refuse to go on with a run that another process is recording; after ``kill -9`` its status says RUNNING too.

    Args:
        mark: what ``process_mark`` gave in the process that started the run; empty where it is unknown.
        run_id: id of the run, for the message.

    Raises:
        InputError: another process on this machine records it. Other machines cannot be seen from here.
    """
    host, process, started = mark.rsplit(":", 2) if mark.count(":") >= 2 else ("", "", "")
    if host != platform.node() or process == str(os.getpid()):
        return
    if abs(_start_time_s(int(process)) - float(started)) <= CLOCK_TOLERANCE_S:
        raise InputError(
            f"The run '{run_id}' is still being recorded by process {process} on {host}. Wait for it or end it, "
            "or start a new run."
        )


def _start_time_s(process: int) -> float:
    """Seconds since 1970; infinity where there is no such process."""
    import psutil

    try:
        return psutil.Process(process).create_time()
    except psutil.Error:
        return math.inf

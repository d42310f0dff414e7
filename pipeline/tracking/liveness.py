"""Whether the process that records a run still lives."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from pipeline.errors import InputError

PROCESS_TAG = "process"
CLOCK_TOLERANCE_S = 2.0
"""The start of a process is computed from that of the system, which moves when the clock is set."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_FIELD = 22 - 3
"""Of /proc/PID/stat, counted from the field behind the name: clock ticks since the system started."""


def process_mark() -> str:
    """Return ``host:process id:start`` of this process; the start tells it from a later one of the same id.

    On Linux the start is ``boot id-clock ticks``, which no setting of the clock moves, elsewhere seconds since 1970.
    """
    return f"{platform.node()}:{os.getpid()}:{_start(os.getpid())}"


def check_not_alive(mark: str, run_id: str) -> None:
    """Refuse to go on with a run that another process is recording; after ``kill -9`` its status says RUNNING too.

    Args:
        mark: what ``process_mark`` gave in the process that started the run; empty where it is unknown.
        run_id: id of the run, for the message.

    Raises:
        InputError: another process on this machine records it. Other machines cannot be seen from here.
    """
    host, process, started = mark.rsplit(":", 2) if mark.count(":") >= 2 else ("", "", "")
    if host != platform.node() or process == str(os.getpid()) or not process.isdigit():
        return
    if _same_start(started, int(process)):
        raise InputError(
            f"The run '{run_id}' is still being recorded by process {process} on {host}. Wait for it or end it, "
            "or start a new run."
        )


def _same_start(started: str, process: int) -> bool:
    """Whether the process that has this number today is the one that started then."""
    if "-" in started:
        return started == _start(process)
    seconds = _start_time_s(process)
    return seconds is not None and started.isdigit() and abs(seconds - int(started)) <= CLOCK_TOLERANCE_S


def _start(process: int) -> str:
    try:
        ticks = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        boot = _BOOT_ID.read_text(encoding="utf-8").partition("-")[0]
        return f"{boot}-{ticks.rpartition(')')[2].split()[_START_FIELD]}"
    except OSError:  # no Linux, or no such process
        return f"{_start_time_s(process) or 0:.0f}"


def _start_time_s(process: int) -> float | None:
    """Seconds since 1970; None where there is no such process."""
    import psutil

    try:
        return float(psutil.Process(process).create_time())
    except psutil.Error:
        return None

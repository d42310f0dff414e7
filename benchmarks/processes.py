"""Runs a command as its user would, and measures the whole process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.machine import ROOT

POLLING_S = 0.005
SAMPLING_S = 0.5
"""Between samples of memory: a look takes milliseconds of a core."""


class CommandError(RuntimeError):
    """A measured command failed; the message ends with what it printed last."""


@dataclass(frozen=True)
class Measured:
    """One run of a command.

    Attributes:
        wall_s: seconds from start to end.
        peak_bytes: most memory that its largest process had resident; None where the system does not tell (Windows).
            Not below what the measuring process itself has, which Linux counts in.
        output: what it printed.
        first_s: seconds until ``until`` appeared; None where it did not, or nothing was waited for.
        tree_bytes: most memory that all its processes had resident at once, of samples :data:`SAMPLING_S` apart; what
            they share, as libraries, counts for each. None where nobody asked.
    """

    wall_s: float
    peak_bytes: int | None
    output: str
    first_s: float | None = None
    tree_bytes: int | None = None


def run(
    command: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    until: Path | None = None,
    tree: bool = False,
) -> Measured:
    """Run a command to its end.

    Args:
        command: program and arguments.
        env: variables beside those of this process.
        cwd: working directory.
        until: a file whose first appearance is timed too.
        tree: also sample the memory of all its processes.

    Raises:
        CommandError: it did not end with 0.
    """
    words = [str(word) for word in command]
    with tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace") as log:
        start = time.perf_counter()
        child = subprocess.Popen(words, cwd=cwd, env={**os.environ, **(env or {})}, stdout=log, stderr=log)
        first_s = None if until is None else _first_s(child, start, until)
        with _TreeMemory(child.pid) if tree else nullcontext() as memory:
            code, peak_bytes = _wait(child)
        wall_s = time.perf_counter() - start
        log.seek(0)
        output = log.read()
    if code != 0:
        raise CommandError(f"{' '.join(words)} ended with {code}:\n{output[-3000:]}")
    return Measured(wall_s, peak_bytes, output, first_s, memory.peak_bytes if memory else None)


class _TreeMemory:
    """Samples, until the block ends, the resident memory of a process and of all that it started.

    Attributes:
        peak_bytes: the largest sample.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.peak_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> _TreeMemory:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLING_S):
            self.peak_bytes = max(self.peak_bytes, tree_bytes(self.pid))


def tree_bytes(pid: int) -> int:
    """Return the resident memory of a process and of all that it started; what has ended meanwhile has none."""
    total = 0
    # processes end while they are looked at
    with suppress(psutil.Error):
        for process in (root := psutil.Process(pid), *root.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_info().rss
    return total


def _first_s(child: subprocess.Popen[bytes], start: float, until: Path) -> float | None:
    while not until.exists():
        if not _runs(child.pid):
            return None
        time.sleep(POLLING_S)
    return time.perf_counter() - start


def _runs(pid: int) -> bool:
    if not hasattr(os, "waitid"):
        return psutil.pid_exists(pid)
    # leaves the process to be waited for
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _wait(child: subprocess.Popen[bytes]) -> tuple[int, int | None]:
    if not hasattr(os, "wait4"):
        return child.wait(), None
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    return child.returncode, usage.ru_maxrss * unit

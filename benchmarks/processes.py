"""Runs a command as its user would, and measures the whole process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import ROOT

POLLING_S = 0.005


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
    """

    wall_s: float
    peak_bytes: int | None
    output: str
    first_s: float | None = None


def run(
    command: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path = ROOT, until: Path | None = None
) -> Measured:
    """Run a command to its end.

    Args:
        command: program and arguments.
        env: variables beside those of this process.
        cwd: working directory.
        until: a file whose first appearance is timed too.

    Raises:
        CommandError: it did not end with 0.
    """
    words = [str(word) for word in command]
    with tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace") as log:
        start = time.perf_counter()
        child = subprocess.Popen(words, cwd=cwd, env={**os.environ, **(env or {})}, stdout=log, stderr=log)
        first_s = None if until is None else _first_s(child, start, until)
        code, peak_bytes = _wait(child)
        wall_s = time.perf_counter() - start
        log.seek(0)
        output = log.read()
    if code != 0:
        raise CommandError(f"{' '.join(words)} ended with {code}:\n{output[-3000:]}")
    return Measured(wall_s, peak_bytes, output, first_s)


def _first_s(child: subprocess.Popen[bytes], start: float, until: Path) -> float | None:
    while not until.exists():
        if not _runs(child.pid):
            return None
        time.sleep(POLLING_S)
    return time.perf_counter() - start


def _runs(pid: int) -> bool:
    if not hasattr(os, "waitid"):
        import psutil

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

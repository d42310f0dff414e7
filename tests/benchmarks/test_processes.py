"""A command is run to its end, and its failure shows what it printed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.processes import CommandError, run


def test_output_and_time() -> None:
    done = run([sys.executable, "-c", "print('hello')"])
    assert (done.output.strip(), done.wall_s > 0, done.first_s) == ("hello", True, None)


def test_a_failure_shows_what_was_printed() -> None:
    with pytest.raises(CommandError, match=r"ended with 3:\nlost"):
        run([sys.executable, "-c", "print('lost'); raise SystemExit(3)"])


def test_first_appearance_of_a_file_is_timed(tmp_path: Path) -> None:
    code = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(0.3)"
    done = run([sys.executable, "-c", code, tmp_path / "mark"], until=tmp_path / "mark")
    assert done.first_s is not None and done.first_s < done.wall_s - 0.2


def test_a_file_that_never_appears_has_no_time(tmp_path: Path) -> None:
    assert run([sys.executable, "-c", ""], until=tmp_path / "mark").first_s is None


def test_memory_of_all_processes_is_sampled() -> None:
    child = "import time; held = bytearray(80_000_000); time.sleep(1.5)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    done = run([sys.executable, "-c", code], tree=True)
    assert done.tree_bytes is not None and done.tree_bytes > 80_000_000

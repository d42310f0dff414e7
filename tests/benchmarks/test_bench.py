"""What the page says of how a section was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench import command_of
from benchmarks.sections.inference import left_out
from benchmarks.settings import Settings

PLAIN = "python -m benchmarks.bench --only inference"


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ({}, PLAIN),
        ({"quick": True, "repeats": 1}, f"{PLAIN} --quick"),
        ({"repeats": 5, "slow": True}, f"{PLAIN} --repeats 5 --slow"),
        ({"peers_python": "/home/someone/bin/python"}, f"{PLAIN} --peers_python PYTHON"),
        ({"backends": ("onnx", "openvino")}, f"{PLAIN} --backends onnx,openvino"),
    ],
)
def test_command_has_all_that_changes_the_result(options: dict[str, Any], command: str) -> None:
    assert command_of(Settings(Path("data"), Path("work"), **options), "inference") == command


@pytest.mark.parametrize(("slow", "notes"), [(False, 1), (True, 0)])
def test_what_was_not_run_is_said(slow: bool, notes: int) -> None:
    assert len(left_out(Settings(Path("data"), Path("work"), peers_python="python", slow=slow))) == notes

"""``python -m pipeline compare`` as it is typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import main

CASES = {"a_ed": (0.9, 0.8, 0.9), "b_ed": (0.9, 0.9, 0.9)}


def test_compare_prints_and_writes(store: str, new_run, capsys: pytest.CaptureFixture[str]) -> None:
    for name, dice in (("one", 0.9), ("two", 0.8)):
        new_run(name, dice, CASES)
    assert main(["compare", "hearts", "--paired", "one", "two"]) == 0
    shown = capsys.readouterr().out
    assert "A = one, B = two: 2 cases in both" in shown
    assert f"Written to {Path('runs/comparison')}: comparison.html, runs.csv" in shown
    assert Path("runs/comparison/comparison.html").is_file()


def test_store_is_given_by_the_option(store: str, new_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_run("one", 0.9, CASES)
    monkeypatch.chdir(tmp_path.parent)
    assert main(["compare", "hearts", "--tracking_uri", store, "--output_dir", str(tmp_path / "out")]) == 0


def test_unknown_experiment_ends_with_status_2(store: str, new_run, capsys: pytest.CaptureFixture[str]) -> None:
    new_run("one", 0.9)
    assert main(["compare", "heart"]) == 2
    assert "error: There is no experiment 'heart'" in capsys.readouterr().err


def test_comparison_loads_no_torch_and_no_plotting_library() -> None:
    code = "import sys, pipeline.comparison; print(sorted({'torch', 'matplotlib', 'scipy'} & set(sys.modules)))"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.strip() == "[]"

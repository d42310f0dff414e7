"""Two processes segment one cohort."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.inference import sharing
from pipeline.inference.sharing import is_first, merged, own_scans

SCRIPT = """
import os, sys
from datetime import timedelta
import torch.distributed as dist
sys.path.insert(0, {tests!r})
from conftest import cohort_evaluator
from pipeline.data.scans import find_scans
from pipeline.inference.cohort import segment_cohort

rank = int(sys.argv[1])
store = dist.FileStore({store!r}, 2)
dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
evaluator = cohort_evaluator(find_scans({scans!r}))
if rank == 1 and {dies}:
    evaluator.inferer = lambda inputs, network: os._exit(3)
result = segment_cohort(evaluator, {out!r})
print([scan.case_id for scan in result.scans])
dist.destroy_process_group()
"""


@pytest.fixture
def run_two(tmp_path: Path, save_scan: Callable[..., Path], labels: np.ndarray) -> Callable[..., list[Any]]:
    """Segment the scans a, b and c by two processes; return them, ended."""
    for name in ("a.nii", "b.nii", "c.nii"):
        save_scan(name, labels)

    def run(dies: bool = False) -> list[Any]:
        paths = {"scans": tmp_path / "scans", "out": tmp_path / "out", "store": tmp_path / "store"}
        texts = {name: str(path) for name, path in paths.items()}
        script = SCRIPT.format(tests=str(Path(__file__).parent), dies=dies, **texts)
        words = [[sys.executable, "-c", script, str(rank)] for rank in (0, 1)]
        processes = [subprocess.Popen(word, stdout=-1, stderr=-1, text=True, encoding="utf-8") for word in words]
        return [(*process.communicate(timeout=120), process.returncode) for process in processes]

    return run


def test_both_processes_know_all_scans_and_the_first_lists_them(
    tmp_path: Path, run_two: Callable[..., list[Any]]
) -> None:
    for out, err, status in run_two():
        assert status == 0, err
        assert "['a', 'b', 'c']" in out
    listing = json.loads((tmp_path / "out" / "segmentation.json").read_text(encoding="utf-8"))
    assert [scan["status"] for scan in listing["scans"]] == ["ok", "ok", "ok"]


def test_process_ends_where_the_other_has_died(run_two: Callable[..., list[Any]]) -> None:
    (_, err, status), (_, _, died) = run_two(dies=True)
    assert died == 3
    assert status == 1
    assert "RuntimeError" in err or "DistBackendError" in err


def test_process_that_is_alone_has_all_scans() -> None:
    assert own_scans(3) == range(3)
    assert merged(["a", "b"]) == ["a", "b"]
    assert is_first()


def test_more_processes_than_scans_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_place", lambda: (0, 4))
    with pytest.raises(InputError, match="3 scans are too few for 4 processes"):
        own_scans(3)

"""A training made again from its record, on the same machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.tracking.store import open_store


@pytest.fixture
def run_id(root_use, find_runs) -> str:
    return next(run.info.run_id for run in find_runs(root_use.trained_dir) if run.data.tags["job"] == "training")


def test_rerun_gives_the_same_figures(
    run_id: str,
    tracking_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    find_runs,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    again = tmp_path / "again"
    assert main(["rerun", run_id, "--tracking_uri", tracking_uri, "--output_dir", str(again)]) == 0
    assert f"figures are those of {run_id}, to the last digit" in capsys.readouterr().out
    rerun = find_runs(again)[0]
    assert rerun.data.tags["rerun_of"] == run_id
    first = open_store(tracking_uri).get_run(run_id)
    assert rerun.data.metrics["best_mean_dice"] == first.data.metrics["best_mean_dice"]
    assert rerun.data.params["learning_rate"] == first.data.params["learning_rate"]


def test_rerun_on_other_data_is_refused(
    run_id: str, tracking_uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rerun", run_id, "--tracking_uri", tracking_uri, "--dataset_dir", str(tmp_path)]) == 2
    assert "are gone, such as" in capsys.readouterr().err

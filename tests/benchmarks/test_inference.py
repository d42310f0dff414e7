"""The cohorts that the programs are timed on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.processes import Measured
from benchmarks.sections import inference
from benchmarks.settings import Settings


@pytest.mark.parametrize("cores", [1, 2, 16])
def test_every_process_has_a_scan(cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def segment(command: Sequence[str | Path], env: object) -> Measured:
        scans = list((tmp_path / "cohort").iterdir())
        processes = next((int(str(word).partition("=")[2]) for word in command if "nproc" in str(word)), 1)
        assert len(scans) >= processes
        asked.append(len(scans))
        (tmp_path / "masks").mkdir()
        for scan in scans:
            (tmp_path / "masks" / scan.name).touch()
        return Measured(float(len(scans)), 1, "")

    monkeypatch.setattr(inference, "available_cores", lambda: cores)
    monkeypatch.setattr(inference, "run", segment)
    (tmp_path / "volume.nii.gz").touch()
    settings = Settings(tmp_path, tmp_path, repeats=1, quick=True)
    times = inference.time_programs(inference.fast_programs(settings), [tmp_path / "volume.nii.gz"], settings)
    assert times[inference.shared_name()]["few"] == [cores] and max(asked) == 6 * cores

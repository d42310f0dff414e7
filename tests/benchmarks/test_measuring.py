"""Whole sections, with the measured programs left out: what they are asked, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.processes import Measured
from benchmarks.report import Section, save
from benchmarks.sections import cine, scale, stages
from benchmarks.settings import Settings

ROUND = {"wall_s": 2.0, "stages": {"network": 1.5, "read": 0.1}, "volumes": 12}
SHAPES = [{"shape": [8, 1, 128, 128], "calls": 2, "flops": 30e9, "seconds": 0.2}]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Volumes that are never read, and rounds that take no time."""
    (tmp_path / "volume.nii.gz").touch()
    for section in (cine, scale, stages):
        monkeypatch.setattr(section, "choose_volumes", lambda folder, number: [folder / "volume.nii.gz"] * number)
    for section in (cine, scale):
        monkeypatch.setattr(section, "write_cine", lambda volume, path, *size: path.parent.mkdir(exist_ok=True))
    monkeypatch.setattr(scale.shutil, "copyfile", lambda source, target: Path(target).touch())
    return Settings(tmp_path, tmp_path / "work", repeats=1, peers_python="/peers/bin/python")


def taking(seconds: Callable[[Sequence[Any]], float], output: str = "") -> Callable[..., Measured]:
    return lambda command, **options: Measured(seconds(command), 10**9, output, tree_bytes=2 * 10**9)


def test_cines_of_one_size_each(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cine, "segment", lambda volume, size, settings: Measured(float(size.phases), 10**9, ""))
    section = cine.measure(settings)
    assert [row[0] for row in section.tables[0].rows] == [
        "16 x 10 x 256²",
        "4 x 30 x 512²",
        "16 x 10 x 512²",
        "8 x 30 x 512²",
        "16 x 20 x 512²",
        "16 x 10 x 768²",
        "16 x 30 x 512²",
    ]
    assert [goal.reached for goal in section.goals] == ["1.00 GB (one round)", "R² 1.000 (one round)"]


@pytest.mark.parametrize("cores", [1, 2, 16])
def test_biobank_by_one_process_and_by_one_a_core(
    cores: int, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "available_cores", lambda: cores)
    monkeypatch.setattr(scale, "run", taking(lambda command: float(len(list((tmp_path / "work/cohort").iterdir())))))
    section = scale.measure(settings)
    assert len(section.tables[2].rows) == len({1, cores})
    saved(section, tmp_path)


def test_stages_have_the_peers_beside_them(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.dumps({"rounds": [ROUND], "shapes": SHAPES, "amp": True, "peak_flops": 4e11})
    monkeypatch.setattr(stages, "run", taking(lambda command: 1.0, f"loading\n{found}"))
    monkeypatch.setattr(stages, "prepare_nnunet", lambda settings: tmp_path)
    section = stages.measure(settings)
    expected = ["this project", "MONAI zoo UNet, SliceInferer", "nnU-Net 2D", "myopari"]
    assert section.tables[2].columns == ["ms a volume", *expected]
    saved(section, tmp_path)


def saved(section: Section, folder: Path) -> None:
    save(section, folder / "section.json", {})
    assert (folder / "section.json").stat().st_size > 0

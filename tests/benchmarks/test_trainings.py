from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import trainings
from benchmarks.trainings import Training, summary_of, train_all
from benchmarks.variants_training import trainings_of


def test_training_is_the_one_of_the_readme_under_its_overlays() -> None:
    words = Training("a", [Path("x.yaml")], {"seed": 3}).words({"fold": 1})
    assert words[:4] == ["-m", "monai.bundle", "run", "training"]
    (files,) = [word for word in words if word.startswith("--config_file=")]
    assert files.endswith("configs/train.yaml','" + (trainings.ROOT / "configs/acdc.yaml").as_posix() + "','x.yaml']")
    assert words[-2:] == ["--seed=3", "--fold=1"]


def test_finished_training_is_left_and_failed_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(trainings, "is_finished", lambda folder: folder.name == "done")
    monkeypatch.setattr(trainings, "run_training_process", lambda words, beside: ran.append(words) or 2)
    assert train_all([Training("done"), Training("bad")], tmp_path, {"fold": 1}, jobs=1) == ["done"]
    assert [f"--output_dir={tmp_path / 'bad'}" in words for words in ran] == [True]
    told = capsys.readouterr().out
    assert "done: finished before" in told
    assert "bad: failed with exit status 2" in told


def test_folder_without_a_record_is_not_finished(tmp_path: Path) -> None:
    assert not trainings.is_finished(tmp_path)


def test_summary_is_read(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"all": {"num_cases": 2}}))
    assert summary_of(tmp_path)["all"]["num_cases"] == 2


def test_variants_are_trained_seed_after_seed() -> None:
    found = trainings_of(["default", "no_aspp"], [0, 2])
    assert [one.label for one in found] == ["default", "no_aspp", "default_seed2", "no_aspp_seed2"]
    assert [len(one.overlays) for one in found] == [0, 1, 0, 1]
    assert [one.settings["seed"] for one in found] == [0, 0, 2, 2]

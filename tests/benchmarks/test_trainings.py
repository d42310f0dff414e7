from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import trainings
from benchmarks.trainings import Training, require_same, summary_of, train_all, whole_numbers
from benchmarks.variants_training import trainings_of
from pipeline.data.phantom import make_phantom_cohort
from pipeline.errors import InputError
from pipeline.workflows.training_record import TrainingRecord

RECORD = TrainingRecord("", "data", "code", {"max_epochs": "12"}, finished=True)


def test_whole_numbers_are_split() -> None:
    assert whole_numbers("0,2") == [0, 2]


def test_training_is_the_one_of_the_readme_under_its_overlays() -> None:
    words = Training("a", [Path("x.yaml")], {"seed": 3, "fold": 0}).words({"fold": 1})
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
    monkeypatch.setattr(Training, "record", lambda self, more: RECORD)
    with pytest.raises(InputError, match=r"bad failed, see above\. The same command again goes on"):
        train_all([Training("bad"), Training("done")], tmp_path, {"fold": 1}, jobs=1)
    assert [f"--output_dir={tmp_path / 'bad'}" in words for words in ran] == [True]
    told = capsys.readouterr().out
    assert "done: finished before" in told
    assert "bad: failed with exit status 2" in told


def test_training_of_other_settings_in_the_folder_is_refused(tmp_path: Path) -> None:
    replace(RECORD, settings={"max_epochs": "2"}).save(tmp_path)
    with pytest.raises(InputError, match=r"belongs to another training: max_epochs 2, not 12\. Give another"):
        require_same(tmp_path, RECORD)
    RECORD.save(tmp_path)
    require_same(tmp_path, replace(RECORD, code="another"))


def test_record_has_the_settings_of_the_training(tmp_path: Path) -> None:
    sizes = {"in_plane_size": (64, 64), "num_slices": (4, 4), "in_plane_spacing_mm": (3.0, 3.0)}
    make_phantom_cohort(tmp_path, num_patients=5, num_phases=2, slice_spacing_mm=(15.0, 15.0), **sizes)
    record = Training("a", [], {"seed": 3}).record({"dataset_dir": tmp_path, "max_epochs": 7})
    assert record.settings["seed"] == "3"
    assert record.settings["max_epochs"] == "7"


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

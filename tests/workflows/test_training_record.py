from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

from pipeline.data import Split, dataset_digest
from pipeline.errors import InputError
from pipeline.tracking.provenance import code_digest
from pipeline.workflows.training_record import (
    TrainingRecord,
    comparable_settings,
    require_same_training,
    resume_differences,
)

CONFIG = {"learning_rate": 0.003, "optimizer": {"lr": "@learning_rate"}, "fold": 0, "output_dir": "runs/a"}
RECORD = TrainingRecord("run", "d" * 64, "c" * 64, {"learning_rate": "0.003"})


@pytest.fixture
def split(tmp_path: Path) -> Split:
    items = []
    for number in (1, 2):
        path = tmp_path / f"{number}.nii"
        path.write_bytes(bytes([number]))
        items.append({"image": str(path), "label": str(path), "patient_id": str(number), "case_id": str(number)})
    return Split(train=items[:1], val=items[1:])


def test_settings_are_as_written_without_fold_and_places() -> None:
    assert comparable_settings(ConfigParser(dict(CONFIG))) == {
        "learning_rate": "0.003",
        "optimizer.lr": "@learning_rate",
    }


def test_record_names_data_code_and_settings(split: Split) -> None:
    record = TrainingRecord.describe(ConfigParser(dict(CONFIG)), split, "abc")
    assert (record.run_id, record.code, record.finished) == ("abc", code_digest(), False)
    assert record.dataset_digest == dataset_digest([*split.train, *split.val])


def test_data_of_another_fold_are_the_same_data(split: Split) -> None:
    parser, turned = ConfigParser(dict(CONFIG)), Split(train=split.val, val=split.train)
    assert TrainingRecord.describe(parser, split) == TrainingRecord.describe(parser, turned)


def test_record_comes_back_from_its_file(tmp_path: Path) -> None:
    replace(RECORD, finished=True).save(tmp_path)
    assert TrainingRecord.load(tmp_path) == replace(RECORD, finished=True)


def test_folder_without_a_training_has_no_record(tmp_path: Path) -> None:
    assert TrainingRecord.load(tmp_path) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"run_id": "a"}'])
def test_damaged_record_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "training.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"training\.json is damaged"):
        TrainingRecord.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dataset_digest": "e" * 64}, ["other data (digest eeeeeeee, not dddddddd)"]),
        ({"code": "e" * 64}, ["other code (digest eeeeeeee, not cccccccc)"]),
        ({"settings": {"learning_rate": "0.01"}}, ["learning_rate 0.01, not 0.003"]),
        ({"settings": {}}, ["learning_rate nothing, not 0.003"]),
        ({"run_id": "other", "finished": True}, []),
    ],
)
def test_differences_are_told_in_words(change: dict[str, Any], words: list[str]) -> None:
    assert replace(RECORD, **change).differences(RECORD) == words


def test_code_need_not_count() -> None:
    assert replace(RECORD, code="e" * 64).differences(RECORD, code=False) == []


# --- going on with a training ---------------------------------------------------------------------------------------

STATE_CONFIG = {"seed": 0, "max_epochs": 3, "network_def": {"dropout": 0.1}, "num_workers": 0, "fold": 1}


@pytest.fixture
def begun(split: Split, tmp_path: Path) -> Path:
    """Folder of a training of STATE_CONFIG on case 1, validated on case 2."""
    folder = tmp_path / "out"
    TrainingRecord.describe(ConfigParser(dict(STATE_CONFIG)), split).save(folder)
    split.to_json(folder / "split.json")
    return folder


@pytest.mark.parametrize("change", [{}, {"num_workers": 2}, {"fold": 0}])
def test_same_training_goes_on(begun: Path, split: Split, change: dict[str, Any]) -> None:
    require_same_training(begun, ConfigParser({**STATE_CONFIG, **change}), split)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "seed 1, not 0"),
        ({"max_epochs": 4}, "max_epochs 4, not 3"),
        ({"network_def": {"dropout": 0.2}}, "network_def.dropout 0.2, not 0.1"),
        ({"network_def": {"dropout": 0.1, "skips": True}}, "network_def.skips True, not nothing"),
    ],
)
def test_training_of_other_settings_does_not_go_on(
    begun: Path, split: Split, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=rf"the training in .*out cannot be resumed: {words}\. Resume with"):
        require_same_training(begun, ConfigParser({**STATE_CONFIG, **change}), split)


def test_case_that_was_trained_on_is_not_validated_later(begun: Path, split: Split) -> None:
    turned = Split(train=split.val, val=split.train)
    with pytest.raises(InputError, match=r"1 of 1 cases to validate on were trained on \(--fold\), such as 1"):
        require_same_training(begun, ConfigParser(dict(STATE_CONFIG)), turned)


def test_case_that_is_new_is_told(begun: Path, split: Split) -> None:
    third = {**split.val[0], "patient_id": "3", "case_id": "3"}
    more = Split(train=[*split.train, third], val=split.val)
    assert resume_differences(begun, ConfigParser(dict(STATE_CONFIG)), more) == [
        "other cases are trained or validated on, such as 3"
    ]


@pytest.mark.parametrize("name", ["training.json", "split.json"])
def test_folder_that_does_not_say_what_was_trained_is_refused(begun: Path, split: Split, name: str) -> None:
    (begun / name).unlink()
    with pytest.raises(InputError, match=r"it lacks training\.json or split\.json, which say what it was trained on"):
        require_same_training(begun, ConfigParser(dict(STATE_CONFIG)), split)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from monai.bundle import ConfigParser

from pipeline.data import Split, dataset_digest
from pipeline.tracking.run import Run
from pipeline.workflows.record import record_inputs, run_params


class Memory(Run):
    """Remembers what it is told."""

    def __init__(self, run_id: str = "abc") -> None:
        self.id = run_id
        self.files: dict[str, Any] = {}
        self.tags: dict[str, object] = {}

    def log_text(self, text: str, artifact_file: str) -> None:
        self.files[artifact_file] = text

    def log_dict(self, data: Any, artifact_file: str) -> None:
        self.files[artifact_file] = data

    def set_tags(self, tags: Any) -> None:
        self.tags.update(tags)


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Two patients to train on, one to validate on."""
    items = []
    for number in (1, 2, 3):
        path = tmp_path / f"patient{number}.nii.gz"
        path.write_bytes(bytes([number]))
        items.append({"image": str(path), "label": str(path), "patient_id": f"p{number}", "case_id": f"p{number}_ed"})
    return Split(train=items[:2], val=items[2:])


def test_configuration_comes_flat_and_whole() -> None:
    parser = ConfigParser({"max_epochs": 5, "trainer": {"max_epochs": "@max_epochs", "name": "ä"}})
    params, config = run_params(parser)
    assert params == {"max_epochs": "5", "trainer.max_epochs": "5", "trainer.name": "ä"}
    assert config == {"max_epochs": 5, "trainer": {"max_epochs": 5, "name": "ä"}}


def test_parameters_have_the_precision_of_this_machine() -> None:
    params, config = run_params(ConfigParser({"precision": "$'bfloat' + '16'"}))
    assert params == {"precision": "bfloat16"}
    assert config == {"precision": "$'bfloat' + '16'"}


def test_split_is_a_file_of_the_run(split: Split) -> None:
    run = Memory()
    record_inputs(run, {}, split)
    assert run.files["inputs/split.json"] == {"train": split.train, "val": split.val}


def test_configuration_is_a_file_of_the_run_in_its_own_order(split: Split) -> None:
    run = Memory()
    record_inputs(run, {"b": 1, "a": {"c": "ä"}}, split)
    assert run.files["inputs/config.yaml"] == "b: 1\na:\n  c: ä\n"
    assert yaml.safe_load(run.files["inputs/config.yaml"]) == {"b": 1, "a": {"c": "ä"}}


def test_run_is_tagged_with_its_data(split: Split) -> None:
    run = Memory()
    record_inputs(run, {}, split)
    assert run.tags == {
        "dataset_digest": dataset_digest([*split.train, *split.val]),
        "num_train_cases": 2,
        "num_val_cases": 1,
    }


def test_run_that_records_nothing_is_told_nothing(split: Split) -> None:
    run = Memory(run_id="")
    record_inputs(run, {}, split)
    assert (run.files, run.tags) == ({}, {})

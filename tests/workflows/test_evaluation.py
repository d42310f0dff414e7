"""Weights are not evaluated on what they were trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data import Split
from pipeline.errors import InputError
from pipeline.workflows.evaluation import require_unseen


def case(number: int) -> dict[str, str]:
    return {"image": f"data/{number}.nii.gz", "case_id": f"case{number}", "patient_id": f"patient{number}"}


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """The split of a training on cases 1 and 2."""
    path = tmp_path / "split.json"
    Split(train=[case(1), case(2)], val=[case(3)]).to_json(path)
    return path


def test_cases_of_the_validation_pass(trained: Path) -> None:
    require_unseen(Split(train=[case(1)], val=[case(3), case(4)]), trained)


def test_case_of_the_training_is_refused(trained: Path) -> None:
    with pytest.raises(InputError, match=r"1 of 2 cases to evaluate were trained on by .*split\.json, such as case2"):
        require_unseen(Split(train=[case(1)], val=[case(2), case(3)]), trained)


def test_other_way_to_the_same_file_is_refused(trained: Path) -> None:
    same = case(2) | {"image": str(Path("data", "..", "data", "2.nii.gz").absolute())}
    with pytest.raises(InputError, match="trained on"):
        require_unseen(Split(train=[case(1)], val=[same]), trained)


def test_weights_of_unknown_origin_pass(tmp_path: Path) -> None:
    require_unseen(Split(train=[case(1)], val=[case(2)]), tmp_path / "split.json")

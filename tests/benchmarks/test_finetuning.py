from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.finetuning import epochs_of, format_table, label
from benchmarks.finetuning_splits import split_for
from pipeline.errors import InputError


@pytest.fixture
def datalist() -> list[dict[str, str]]:
    """Ten patients of RV and two of NOR, a case each."""
    groups = {**{f"r{n}": "RV" for n in range(10)}, "n0": "NOR", "n1": "NOR"}
    return [{"case_id": patient, "patient_id": patient, "group": group} for patient, group in groups.items()]


def patients(items: list[dict[str, str]]) -> set[str]:
    return {item["patient_id"] for item in items}


def test_pretraining_has_all_other_groups_and_no_validation(datalist: list[dict[str, str]]) -> None:
    split = split_for(datalist, "RV", 0)
    assert (patients(split.train), split.val, split.validated) == ({"n0", "n1"}, [], False)


def test_more_patients_include_the_fewer_and_validation_stays(datalist: list[dict[str, str]]) -> None:
    few, many = split_for(datalist, "RV", 2), split_for(datalist, "RV", 8)
    assert patients(few.train) < patients(many.train)
    assert few.val == many.val
    assert patients(many.train) | patients(many.val) == {f"r{n}" for n in range(10)}
    assert patients(split_for(datalist, "RV", 2, fold=1).val).isdisjoint(patients(few.val))


def test_unknown_group_is_refused(datalist: list[dict[str, str]]) -> None:
    with pytest.raises(InputError, match="group must be one of NOR, RV, got 'DCM'"):
        split_for(datalist, "DCM", 4)


@pytest.mark.parametrize("number", [9, -1])
def test_more_patients_than_there_are_are_refused(datalist: list[dict[str, str]], number: int) -> None:
    with pytest.raises(InputError, match=f"num_patients must be from 0 to 8, got {number}"):
        split_for(datalist, "RV", number)


@pytest.mark.parametrize("fold", [5, -1])
def test_fold_that_is_not_there_is_refused(datalist: list[dict[str, str]], fold: int) -> None:
    with pytest.raises(InputError, match=f"fold must be from 0 to 4, got {fold}"):
        split_for(datalist, "RV", 2, fold=fold)


def test_fewer_patients_are_trained_on_for_more_epochs() -> None:
    # 600 iterations of 8 slices are 4800; 4 patients have 76
    assert [epochs_of(600, size) for size in (4, 8, 16)] == [63, 32, 16]


def test_table_has_mean_and_spread_over_the_folds(tmp_path: Path) -> None:
    values = {label(way, size, fold): 0.5 for way in ("finetuned", "anew") for size in (4, 8, 16) for fold in (0, 1)}
    values |= {label("finetuned", 4, 0): 0.9, label("finetuned", 4, 1): 0.8}
    values |= {"pretrained_fold0": 0.7, "pretrained_fold1": 0.7}
    for name, dice in values.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(json.dumps({"all": {"mean_dice": dice}}))
    line = format_table(tmp_path, [0, 1]).splitlines()[2]
    assert line == "| 4 | 0.850 (0.800 to 0.900) | 0.500 (0.500 to 0.500) | 0.700 (0.700 to 0.700) |"

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.splits import Split, make_split, stratified_folds
from pipeline.errors import InputError

GROUPS = ("DCM", "HCM", "MINF", "NOR", "RV")


def case(patient: str, phase: str = "ed", group: str = "", **more: Any) -> dict[str, Any]:
    return {"patient_id": patient, "case_id": f"{patient}_{phase}", "phase": phase, "group": group, **more}


def cohort() -> list[dict[str, Any]]:
    """100 patients, 20 of each of 5 groups, ED and ES of each."""
    return [case(f"patient{n:03d}", phase, GROUPS[n // 20]) for n in range(100) for phase in ("ed", "es")]


@pytest.mark.parametrize("fold", range(5))
def test_each_fold_validates_20_patients_4_of_each_group(fold: int) -> None:
    val = make_split(cohort(), fold=fold).val
    assert len(val) == 40
    assert Counter(item["group"] for item in val if item["phase"] == "ed") == dict.fromkeys(GROUPS, 4)


def test_every_patient_is_validated_once() -> None:
    val = Counter(item["patient_id"] for fold in range(5) for item in make_split(cohort(), fold=fold).val)
    assert len(val) == 100
    assert set(val.values()) == {2}


def test_training_side_is_all_the_rest_in_order() -> None:
    split = make_split(cohort(), fold=3)
    assert split.train == [item for item in cohort() if item not in split.val]


def test_seed_0_gives_these_folds_on_every_machine() -> None:
    groups = {f"p{n}": "A" if n < 4 else "B" for n in range(8)}
    folds = [["p2", "p3", "p7"], ["p0", "p4", "p6"], ["p1", "p5"]]
    assert stratified_folds(groups, num_folds=3, seed=0) == folds


def test_another_seed_gives_other_folds() -> None:
    assert make_split(cohort(), seed=0) != make_split(cohort(), seed=1)


def test_order_of_the_cases_does_not_matter() -> None:
    patients = {item["patient_id"] for item in make_split(cohort(), fold=2).val}
    assert patients == {item["patient_id"] for item in make_split(cohort()[::-1], fold=2).val}


def test_uneven_groups_are_balanced_to_within_one() -> None:
    groups = {f"p{n:02d}": "A" if n < 7 else "B" for n in range(17)}
    folds = stratified_folds(groups, num_folds=5)
    counts = [Counter(groups[patient] for patient in fold) for fold in folds]
    assert {count["A"] for count in counts} == {1, 2}
    assert {count["B"] for count in counts} == {2}
    assert sorted(len(fold) for fold in folds) == [3, 3, 3, 4, 4]


def test_dictated_split_is_obeyed() -> None:
    items = [case("a", split="train"), case("b", split="val"), case("c", split="train")]
    split = make_split(items)
    assert [item["patient_id"] for item in split.train] == ["a", "c"]
    assert [item["patient_id"] for item in split.val] == ["b"]


def test_shared_patient_is_refused() -> None:
    with pytest.raises(InputError, match=r"1 patient\(s\) on both sides of the split: a\."):
        Split(train=[case("a", "ed"), case("b")], val=[case("a", "es")])


@pytest.mark.parametrize(("train", "val", "side"), [([], ["a"], "train"), (["a"], [], "val")])
def test_empty_side_is_refused(train: list[str], val: list[str], side: str) -> None:
    with pytest.raises(InputError, match=f"'{side}' is empty"):
        Split(train=[case(name) for name in train], val=[case(name) for name in val])


def test_case_without_patient_is_refused() -> None:
    with pytest.raises(InputError, match=r"needs a patient_id, got \{'image': 'a.nii'\}"):
        Split(train=[{"image": "a.nii"}], val=[case("b")])


def test_no_cases_are_refused() -> None:
    with pytest.raises(InputError, match="no cases to split"):
        make_split([])


def test_too_few_patients_are_refused_with_the_way_out() -> None:
    items = [case(name, phase) for name in "abc" for phase in ("ed", "es")]
    with pytest.raises(InputError, match=r"3 patient\(s\) are too few for 5 folds.*Lower num_folds to at most 3"):
        make_split(items)


def test_single_patient_is_refused_without_a_number_of_folds() -> None:
    with pytest.raises(InputError, match=r"1 patient\(s\) cannot be split: .* Add patients"):
        make_split([case("a")])


@pytest.mark.parametrize("fold", [-1, 5])
def test_fold_out_of_range_is_refused(fold: int) -> None:
    with pytest.raises(InputError, match=f"fold must be from 0 to num_folds - 1 = 4, got {fold}"):
        make_split(cohort(), fold=fold)


def test_single_fold_is_refused() -> None:
    with pytest.raises(InputError, match="num_folds must be at least 2, got 1"):
        make_split(cohort(), num_folds=1)


def test_patient_in_two_groups_is_refused() -> None:
    with pytest.raises(InputError, match="Patient a is in two groups, 'DCM' and 'NOR'"):
        make_split([case("a", "ed", "DCM"), case("a", "es", "NOR"), case("b")], num_folds=2)


def test_partial_dictated_split_is_refused() -> None:
    with pytest.raises(InputError, match="1 of 2 cases have no 'split'"):
        make_split([case("a", split="train"), case("b")])


def test_fold_of_a_dictated_split_is_refused() -> None:
    with pytest.raises(InputError, match="dictates its own split, so fold must be 0, got 1"):
        make_split([case("a", split="train"), case("b", split="val")], fold=1)


def test_unknown_side_is_refused() -> None:
    with pytest.raises(InputError, match="'split' must be 'train' or 'val', got 'test' in b_ed"):
        make_split([case("a", split="train"), case("b", split="test")])


def test_fold_all_trains_on_everything_and_validates_nothing() -> None:
    split = make_split(cohort(), fold="all")
    assert split == Split(train=cohort(), val=[], validated=False)


def test_fold_all_takes_the_validation_of_a_dictated_split_too() -> None:
    cases = [case("a", split="train"), case("b", split="val")]
    assert make_split(cases, fold="all").train == cases


def test_fold_of_another_name_is_refused() -> None:
    with pytest.raises(InputError, match="fold must be a whole number or 'all', got 'every'"):
        make_split(cohort(), fold="every")


def test_split_without_a_validation_has_no_cases_for_it() -> None:
    with pytest.raises(InputError, match="without a validation must have no cases in 'val', got 1"):
        Split(train=[case("a")], val=[case("b")], validated=False)


def test_json_gives_the_split_of_everything_back(tmp_path: Path) -> None:
    split = make_split(cohort(), fold="all")
    split.to_json(tmp_path / "split.json")
    assert Split.from_json(tmp_path / "split.json") == split


def test_json_gives_the_split_back(tmp_path: Path) -> None:
    split = make_split(cohort(), fold=1)
    split.to_json(tmp_path / "run" / "split.json")
    assert Split.from_json(tmp_path / "run" / "split.json") == split


def test_json_leaves_nothing_else_behind(tmp_path: Path) -> None:
    make_split(cohort()).to_json(tmp_path / "split.json")
    assert [path.name for path in tmp_path.iterdir()] == ["split.json"]


def test_failed_write_keeps_the_old_json(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    make_split(cohort()).to_json(path)
    with pytest.raises(TypeError):
        Split(train=[case("a", extra=object())], val=[case("b")]).to_json(path)
    assert Split.from_json(path) == make_split(cohort())


@pytest.mark.parametrize("text", ["{", "[]", '{"train": []}', '{"train": 1, "val": []}'])
def test_json_that_is_no_split_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"split.json' (cannot be read|must have the lists 'train' and 'val')"):
        Split.from_json(tmp_path / "split.json")


def test_missing_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read.*Delete it to make a new one"):
        Split.from_json(tmp_path / "split.json")


def test_json_that_shares_a_patient_is_refused(tmp_path: Path) -> None:
    content = {"train": [case("a")], "val": [case("a", "es")]}
    (tmp_path / "split.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="on both sides of the split"):
        Split.from_json(tmp_path / "split.json")

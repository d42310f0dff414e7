from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.decathlon import decathlon_datalist, looks_like_decathlon
from pipeline.errors import InputError


def write_json(root: Path, training: Any) -> None:
    (root / "dataset.json").write_text(json.dumps({"training": training}), encoding="utf-8")


def test_a_case_is_named_after_its_image(decathlon_dir: Path) -> None:
    assert decathlon_datalist(decathlon_dir)[0] == {
        "image": str(decathlon_dir / "imagesTr" / "la_003.nii.gz"),
        "label": str(decathlon_dir / "labelsTr" / "la_003.nii.gz"),
        "patient_id": "la_003",
        "case_id": "la_003",
        "phase": "",
        "group": "",
    }


def test_cases_are_sorted(decathlon_dir: Path) -> None:
    assert [item["case_id"] for item in decathlon_datalist(decathlon_dir)] == ["la_003", "la_004"]


def test_entry_may_name_patient_phase_and_group(decathlon_dir: Path) -> None:
    entry = {"image": "imagesTr/la_003.nii.gz", "label": "labelsTr/la_003.nii.gz"}
    write_json(decathlon_dir, [{**entry, "patient_id": "p7", "phase": "ED", "group": "HCM"}])
    item = decathlon_datalist(decathlon_dir)[0]
    assert (item["patient_id"], item["phase"], item["group"]) == ("p7", "ed", "HCM")


def test_test_section_has_no_labels(decathlon_dir: Path) -> None:
    items = decathlon_datalist(decathlon_dir, section="test")
    assert [("label" in item, item["case_id"]) for item in items] == [(False, "la_001")]


def test_windows_separators_are_read(decathlon_dir: Path) -> None:
    write_json(decathlon_dir, [{"image": r"imagesTr\la_003.nii.gz", "label": r"labelsTr\la_003.nii.gz"}])
    assert Path(decathlon_datalist(decathlon_dir)[0]["image"]).is_file()


def test_looks_like_decathlon(decathlon_dir: Path) -> None:
    assert looks_like_decathlon(decathlon_dir)
    assert not looks_like_decathlon(decathlon_dir.parent)


def test_folder_without_json_is_refused(decathlon_dir: Path) -> None:
    with pytest.raises(InputError, match=r"holds Task02_Heart/; expected dataset.json"):
        decathlon_datalist(decathlon_dir.parent)


def test_broken_json_is_refused(decathlon_dir: Path) -> None:
    (decathlon_dir / "dataset.json").write_text('{"training": [', encoding="utf-8")
    with pytest.raises(InputError, match=r"dataset.json is not valid JSON: .*line 1"):
        decathlon_datalist(decathlon_dir)


@pytest.mark.parametrize("training", [[], None, "imagesTr"])
def test_json_without_a_training_list_is_refused(decathlon_dir: Path, training: Any) -> None:
    write_json(decathlon_dir, training)
    with pytest.raises(InputError, match="must have a non-empty list 'training', it has: training"):
        decathlon_datalist(decathlon_dir)


def test_json_that_is_a_list_is_refused(decathlon_dir: Path) -> None:
    (decathlon_dir / "dataset.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match="must have a non-empty list 'training', it has: list"):
        decathlon_datalist(decathlon_dir)


def test_image_without_label_is_refused(decathlon_dir: Path) -> None:
    write_json(decathlon_dir, [{"image": "imagesTr/la_003.nii.gz"}])
    with pytest.raises(InputError, match=r"training\[0\] has no 'label' for imagesTr/la_003.nii.gz"):
        decathlon_datalist(decathlon_dir)


@pytest.mark.parametrize("path", ["../secret.nii.gz", "imagesTr/../../a.nii.gz", "/etc/a.nii.gz", "C:\\data\\a.nii.gz"])
def test_path_out_of_the_folder_is_refused(decathlon_dir: Path, path: str) -> None:
    write_json(decathlon_dir, [{"image": path, "label": "labelsTr/la_003.nii.gz"}])
    with pytest.raises(InputError, match="'image' leaves the data set's folder"):
        decathlon_datalist(decathlon_dir)


def test_list_of_images_is_refused(decathlon_dir: Path) -> None:
    write_json(decathlon_dir, [{"image": ["a.nii.gz", "b.nii.gz"], "label": "labelsTr/la_003.nii.gz"}])
    with pytest.raises(InputError, match=r"'image' must be one path, got \['a.nii.gz', 'b.nii.gz'\]"):
        decathlon_datalist(decathlon_dir)


def test_all_missing_files_are_named(decathlon_dir: Path) -> None:
    (decathlon_dir / "imagesTr" / "la_003.nii.gz").unlink()
    (decathlon_dir / "labelsTr" / "la_004.nii.gz").unlink()
    with pytest.raises(InputError) as caught:
        decathlon_datalist(decathlon_dir)
    assert "the image is listed in dataset.json, but not there" in str(caught.value)
    assert "the label is listed in dataset.json, but not there" in str(caught.value)


def test_file_of_another_kind_is_refused(decathlon_dir: Path) -> None:
    (decathlon_dir / "a.mgz").touch()
    write_json(decathlon_dir, [{"image": "a.mgz", "label": "labelsTr/la_003.nii.gz"}])
    with pytest.raises(InputError, match=r"the image must be one of .nii.gz, .*, .png, got 'a.mgz'"):
        decathlon_datalist(decathlon_dir)


def test_entry_listed_twice_is_refused(decathlon_dir: Path) -> None:
    write_json(decathlon_dir, [{"image": "imagesTr/la_003.nii.gz", "label": "labelsTr/la_003.nii.gz"}] * 2)
    with pytest.raises(InputError, match=r"la_003: this image and .* have the same case_id"):
        decathlon_datalist(decathlon_dir)

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from pipeline.data.folder import folder_datalist, looks_like_folder
from pipeline.errors import InputError


def test_a_case_carries_its_side_and_what_its_name_says(folder_dir: Path) -> None:
    assert folder_datalist(folder_dir)[0] == {
        "image": str(folder_dir / "train" / "images" / "patient001_ed.nii.gz"),
        "label": str(folder_dir / "train" / "masks" / "patient001_ed.nii.gz"),
        "patient_id": "patient001",
        "case_id": "patient001_ed",
        "phase": "ed",
        "group": "",
        "split": "train",
    }


def test_cases_are_sorted_and_keep_their_side(folder_dir: Path) -> None:
    cases = [(item["case_id"], item["split"]) for item in folder_datalist(folder_dir)]
    assert cases == [("patient001_ed", "train"), ("patient001_es", "train"), ("patient002_frame01", "val")]


def test_folder_named_data_one_level_below_is_found(folder_dir: Path) -> None:
    shutil.copytree(folder_dir, folder_dir.parent / "above" / "data")
    assert len(folder_datalist(folder_dir.parent / "above")) == 3


def test_suffixes_of_image_and_mask_may_differ(folder_dir: Path) -> None:
    mask = folder_dir / "val" / "masks" / "patient002_frame01.nii"
    mask.rename(mask.with_suffix(".nii.gz"))
    assert folder_datalist(folder_dir)[2]["label"].endswith(".nii.gz")


def test_png_files_are_found(folder_dir: Path) -> None:
    for kind in ("images", "masks"):
        (folder_dir / "train" / kind / "patient003_z04.png").touch()
    item = folder_datalist(folder_dir)[3]
    assert (item["patient_id"], item["case_id"]) == ("patient003", "patient003_z04")


def test_hidden_files_are_ignored(folder_dir: Path) -> None:
    (folder_dir / "train" / "images" / "._patient001_ed.nii.gz").touch()
    assert len(folder_datalist(folder_dir)) == 3


def test_looks_like_folder(folder_dir: Path, acdc_dir: Path) -> None:
    assert looks_like_folder(folder_dir)
    assert not looks_like_folder(acdc_dir)


def test_other_folder_is_refused(acdc_dir: Path) -> None:
    with pytest.raises(InputError, match=r"holds patient001/, patient002/.*; expected train/images, train/masks"):
        folder_datalist(acdc_dir)


def test_missing_side_is_refused(folder_dir: Path) -> None:
    (folder_dir / "val").rename(folder_dir / "valid")
    with pytest.raises(InputError, match=r"images' is missing; '.*plain' holds train/, valid/"):
        folder_datalist(folder_dir)


def test_empty_side_is_refused(folder_dir: Path) -> None:
    (folder_dir / "val" / "images" / "patient002_frame01.nii").rename(folder_dir / "val" / "images" / "a.dcm")
    with pytest.raises(InputError, match=r"has no .nii.gz, .*, .png file; it holds a.dcm"):
        folder_datalist(folder_dir)


def test_all_missing_partners_are_named_with_the_nearest_name(folder_dir: Path) -> None:
    masks = folder_dir / "train" / "masks"
    (masks / "patient001_ed.nii.gz").rename(masks / "patient001_ed_mask.nii.gz")
    with pytest.raises(InputError) as caught:
        folder_datalist(folder_dir)
    assert "image without mask: masks/ has no file named patient001_ed; the nearest name is patient001_e" in str(
        caught.value
    )
    assert "mask without image: images/ has no file named patient001_ed_mask" in str(caught.value)


def test_two_files_of_one_name_are_refused(folder_dir: Path) -> None:
    (folder_dir / "train" / "images" / "patient001_ed.png").touch()
    with pytest.raises(InputError, match=r"another file has the same name: patient001_ed.nii.gz"):
        folder_datalist(folder_dir)


def test_patient_on_both_sides_is_refused(folder_dir: Path) -> None:
    for kind in ("images", "masks"):
        val = folder_dir / "val" / kind / "patient002_frame01.nii"
        val.rename(val.with_name("patient001_frame01.nii"))
    with pytest.raises(InputError, match="patient001_frame01: patient patient001 is in both train and val"):
        folder_datalist(folder_dir)


def test_file_of_another_kind_is_left_out_with_a_warning(folder_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder_dir / "train" / "images" / "patient009.mgz").touch()
    with caplog.at_level(logging.WARNING):
        assert len(folder_datalist(folder_dir)) == 3
    assert "train: no image file: not used" in caplog.text

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from pipeline.data.mnms import looks_like_mnms, mnms_datalist
from pipeline.errors import InputError

HEADER = "External code,Vendor,ED,ES,Pathology\n"


def write_csv(root: Path, *rows: str) -> None:
    (root / "M&Ms_Labelled.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")


def test_a_case_carries_everything_that_the_csv_says(mnms_dir: Path) -> None:
    folder = mnms_dir / "Training" / "Labeled" / "A0S9V9"
    assert mnms_datalist(mnms_dir)[1] == {
        "image": str(folder / "A0S9V9_sa.nii.gz"),
        "label": str(folder / "A0S9V9_sa_gt.nii.gz"),
        "patient_id": "A0S9V9",
        "case_id": "A0S9V9_es",
        "phase": "es",
        "group": "HCM",
        "frame": 2,
        "height_cm": 170.0,
    }


def test_unlabeled_patients_are_left_out(mnms_dir: Path) -> None:
    assert [item["case_id"] for item in mnms_datalist(mnms_dir)] == ["A0S9V9_ed", "A0S9V9_es"]


def test_vendor_is_the_group_where_the_pathology_is_unknown(mnms_dir: Path) -> None:
    write_csv(mnms_dir, "A0S9V9,C,0,2,")
    assert mnms_datalist(mnms_dir)[0]["group"] == "C"


def test_semicolons_are_read(mnms_dir: Path) -> None:
    text = "External code;ED;ES\nA0S9V9;1;2\n"
    (mnms_dir / "M&Ms_Labelled.csv").write_text(text, encoding="utf-8-sig")
    assert [item["frame"] for item in mnms_datalist(mnms_dir)] == [1, 2]


def test_csv_with_the_pathology_is_preferred(mnms_dir: Path) -> None:
    (mnms_dir / "zzz_older.csv").write_text("External code,ED,ES\nA0S9V9,1,1\n", encoding="utf-8")
    assert mnms_datalist(mnms_dir)[0]["frame"] == 0


def test_csv_one_level_below_is_found(mnms_dir: Path) -> None:
    shutil.move(mnms_dir / "M&Ms_Labelled.csv", mnms_dir / "Training" / "list.csv")
    assert len(mnms_datalist(mnms_dir)) == 2


def test_broken_csv_beside_it_is_passed_over(mnms_dir: Path) -> None:
    (mnms_dir / "broken.csv").write_text("x" * 200_000, encoding="utf-8")
    assert len(mnms_datalist(mnms_dir)) == 2


def test_looks_like_mnms(mnms_dir: Path, acdc_dir: Path) -> None:
    assert looks_like_mnms(mnms_dir)
    assert not looks_like_mnms(acdc_dir)


def test_folder_without_csv_is_refused(acdc_dir: Path) -> None:
    with pytest.raises(InputError, match=r"holds patient001/, patient002/.*no csv with the columns 'External code'"):
        mnms_datalist(acdc_dir)


def test_csv_without_images_is_refused(mnms_dir: Path) -> None:
    shutil.rmtree(mnms_dir / "Training")
    with pytest.raises(InputError, match=r"No <code>_sa.nii.gz below .*although M&Ms_Labelled.csv is there"):
        mnms_datalist(mnms_dir)


def test_csv_of_other_patients_is_refused(mnms_dir: Path) -> None:
    write_csv(mnms_dir, "X1,A,0,1,NOR")
    with pytest.raises(InputError, match=r"None of the 1 patients of .* has a labelled image"):
        mnms_datalist(mnms_dir)


def test_image_without_label_is_refused(mnms_dir: Path) -> None:
    next(mnms_dir.rglob("A0S9V9_sa_gt.nii.gz")).unlink()
    with pytest.raises(InputError, match=r"A0S9V9: image without label A0S9V9_sa_gt.nii.gz"):
        mnms_datalist(mnms_dir)


def test_label_without_image_is_refused(mnms_dir: Path, nifti) -> None:
    folder = mnms_dir / "Training" / "Labeled"
    shutil.copytree(folder / "A0S9V9", folder / "C2")
    (folder / "C2" / "A0S9V9_sa_gt.nii.gz").rename(folder / "C2" / "C2_sa_gt.nii.gz")
    (folder / "C2" / "A0S9V9_sa.nii.gz").unlink()
    write_csv(mnms_dir, "A0S9V9,C,0,2,HCM", "C2,C,0,2,HCM")
    with pytest.raises(InputError, match=r"C2: label without image C2_sa.nii.gz"):
        mnms_datalist(mnms_dir)


def test_patient_twice_in_the_csv_is_refused(mnms_dir: Path) -> None:
    write_csv(mnms_dir, "A0S9V9,C,0,2,HCM", "A0S9V9,C,0,1,HCM")
    with pytest.raises(InputError, match="A0S9V9: the patient is in the csv twice"):
        mnms_datalist(mnms_dir)


def test_patient_with_several_files_is_refused(mnms_dir: Path) -> None:
    shutil.copytree(mnms_dir / "Training", mnms_dir / "copy")
    with pytest.raises(InputError, match="A0S9V9: the patient has several files"):
        mnms_datalist(mnms_dir)


@pytest.mark.parametrize("index", ["", "first", "-1", "1.5"])
def test_wrong_phase_is_refused(mnms_dir: Path, index: str) -> None:
    write_csv(mnms_dir, f"A0S9V9,C,0,{index},HCM")
    with pytest.raises(InputError, match=f"A0S9V9_es: column ES must be a phase index from 0 on, got '{index}'"):
        mnms_datalist(mnms_dir)


def test_patient_without_files_is_left_out_with_a_warning(mnms_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_csv(mnms_dir, "A0S9V9,C,0,2,HCM", "X1,A,0,1,NOR")
    with caplog.at_level(logging.WARNING):
        assert len(mnms_datalist(mnms_dir)) == 2
    assert "X1: the patient is in the csv, but no labelled image of it is in the folder: not used" in caplog.text


def test_file_outside_the_csv_is_left_out_with_a_warning(mnms_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = next(mnms_dir.rglob("A0S9V9_sa.nii.gz"))
    shutil.copy(image, image.with_name("Z9_sa.nii.gz"))
    with caplog.at_level(logging.WARNING):
        assert len(mnms_datalist(mnms_dir)) == 2
    assert "Z9: the file's patient is not in M&Ms_Labelled.csv" in caplog.text

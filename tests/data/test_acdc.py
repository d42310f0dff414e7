from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from pipeline.data.acdc import acdc_datalist, looks_like_acdc, scan_acdc
from pipeline.errors import InputError


def test_a_case_carries_everything_that_the_folder_says(acdc_dir: Path) -> None:
    folder = acdc_dir / "patient001"
    assert acdc_datalist(acdc_dir)[0] == {
        "image": str(folder / "patient001_frame01.nii.gz"),
        "label": str(folder / "patient001_frame01_gt.nii.gz"),
        "patient_id": "patient001",
        "case_id": "patient001_ed",
        "phase": "ed",
        "group": "DCM",
        "height_cm": 184.0,
        "weight_kg": 95.0,
    }


def test_cases_are_sorted_ed_before_es(acdc_dir: Path) -> None:
    cases = [item["case_id"] for item in acdc_datalist(acdc_dir)]
    assert cases == ["patient001_ed", "patient001_es", "patient002_ed", "patient002_es"]


def test_es_frame_is_the_one_that_info_cfg_names(acdc_dir: Path) -> None:
    assert acdc_datalist(acdc_dir)[1]["image"].endswith("patient001_frame12.nii.gz")


def test_values_are_plain_json(acdc_dir: Path) -> None:
    datalist = acdc_datalist(acdc_dir)
    assert json.loads(json.dumps(datalist)) == datalist


def test_unknown_height_is_left_out(acdc_dir: Path) -> None:
    info = acdc_dir / "patient001" / "Info.cfg"
    info.write_text("ED: 1\nES: 12\nHeight: nan\nWeight: unknown\n", encoding="utf-8")
    item = acdc_datalist(acdc_dir)[0]
    assert {"height_cm", "weight_kg"}.isdisjoint(item)
    assert item["group"] == ""


def test_uncompressed_files_are_found(acdc_dir: Path) -> None:
    image = acdc_dir / "patient001" / "patient001_frame01.nii.gz"
    image.rename(image.with_name("patient001_frame01.nii"))
    assert acdc_datalist(acdc_dir)[0]["image"].endswith("frame01.nii")


def test_looks_like_acdc(acdc_dir: Path) -> None:
    assert looks_like_acdc(acdc_dir)
    assert not looks_like_acdc(acdc_dir.parent)


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'.*nowhere' does not exist"):
        acdc_datalist(tmp_path / "nowhere")


def test_parent_folder_is_refused_with_the_folder_to_give(acdc_dir: Path) -> None:
    with pytest.raises(InputError, match=r"holds acdc/; expected .*There are patients in '.*acdc': give that folder"):
        acdc_datalist(acdc_dir.parent)


def test_folder_of_one_patient_is_refused_with_the_folder_to_give(acdc_dir: Path) -> None:
    with pytest.raises(InputError, match=r"That is one patient: give the folder above it, '.*acdc'"):
        acdc_datalist(acdc_dir / "patient001")


def test_folder_without_patients_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"holds notes.txt; expected patientNNN/.*database/training"):
        acdc_datalist(tmp_path)


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ("ED: 1\nGroup: DCM\n", "Info.cfg has no key ES, only ED, Group"),
        ("", "Info.cfg has no key ED, only no keys at all"),
        ("ED: one\nES: 12\n", "must give ED as a frame number from 1 on, got 'one'"),
        ("ED: 1\nES: 0\n", "must give ES as a frame number from 1 on, got '0'"),
        ("ED: 3\nES: 12\n", "Info.cfg names frame 3 as ED, but the frames in the folder are: 1, 12"),
        ("ED: 1\nES: 1\n", "Info.cfg names frame 1 as both ED and ES"),
    ],
)
def test_wrong_info_cfg_is_refused(acdc_dir: Path, info: str, message: str) -> None:
    (acdc_dir / "patient002" / "Info.cfg").write_text(info, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        acdc_datalist(acdc_dir)
    assert "patient002" in str(caught.value)


def test_missing_info_cfg_is_refused(acdc_dir: Path) -> None:
    (acdc_dir / "patient001" / "Info.cfg").unlink()
    with pytest.raises(InputError, match=r"patient001: Info.cfg is missing \(.*Info.cfg\)"):
        acdc_datalist(acdc_dir)


def test_all_missing_partners_are_named(acdc_dir: Path) -> None:
    (acdc_dir / "patient001" / "patient001_frame12_gt.nii.gz").unlink()
    (acdc_dir / "patient002" / "patient002_frame01.nii.gz").unlink()
    with pytest.raises(InputError) as caught:
        acdc_datalist(acdc_dir)
    assert "2 problem(s)" in str(caught.value)
    assert "patient001_es: image without label patient001_frame12_gt.nii.gz" in str(caught.value)
    assert "patient002_ed: label without image patient002_frame01.nii.gz" in str(caught.value)


def test_frame_that_is_there_twice_is_refused(acdc_dir: Path) -> None:
    (acdc_dir / "patient001" / "patient001_frame01.nii").touch()
    with pytest.raises(InputError, match=r"there twice, as .nii and .nii.gz"):
        acdc_datalist(acdc_dir)


def test_frame_between_ed_and_es_is_left_out_with_a_warning(acdc_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    (acdc_dir / "patient001" / "patient001_frame05.nii.gz").touch()
    with caplog.at_level(logging.WARNING):
        assert len(acdc_datalist(acdc_dir)) == 4
    assert "frame 5 is neither ED (1) nor ES (12): not used" in caplog.text


def test_scan_keeps_the_whole_cases_beside_the_problems(acdc_dir: Path) -> None:
    (acdc_dir / "patient001" / "Info.cfg").unlink()
    scan = scan_acdc(acdc_dir)
    assert [item["case_id"] for item in scan.items] == ["patient002_ed", "patient002_es"]
    assert [problem.case_id for problem in scan.problems] == ["patient001"]


@pytest.mark.realdata
def test_acdc_training_set_is_whole(real_data_dir: Path) -> None:
    datalist = acdc_datalist(real_data_dir / "acdc" / "training")
    assert len(datalist) == 200
    assert {item["group"] for item in datalist} == {"DCM", "HCM", "MINF", "NOR", "RV"}

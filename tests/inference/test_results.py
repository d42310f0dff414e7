from __future__ import annotations

import csv
import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.inference.results import CohortError, CohortResult, ScanResult, write_case_names
from pipeline.inference.study import StudyResult
from pipeline.metrics.function import cardiac_function

GOOD = ScanResult("p/a", "in/p/a.nii.gz", "p/a.nii.gz", "", 1.5, [{"rv": 90.5, "myo": 80.0, "lv": 100.25}])
CINE = ScanResult(
    "c", "in/c.nii.gz", "c.nii.gz", "", 3.0, [{"rv": 1.0, "myo": 2.0, "lv": 3.0}, {"rv": 4.0, "myo": 5.0, "lv": 6.0}]
)
BAD = ScanResult("b", "in/b.nii.gz", reason="EOFError: file ended", seconds=0.25)


def read_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "segmentation.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_table_has_a_row_of_a_good_scan(tmp_path: Path) -> None:
    CohortResult(tmp_path, (GOOD,)).write()
    assert read_rows(tmp_path) == [
        {
            "case_id": "p/a",
            "phase": "0",
            "rv_ml": "90.5",
            "myo_ml": "80.0",
            "lv_ml": "100.25",
            "status": "ok",
            "seconds": "1.5",
            "scan": "in/p/a.nii.gz",
            "output": "p/a.nii.gz",
            "reason": "",
        }
    ]


def test_table_has_a_row_a_phase(tmp_path: Path) -> None:
    CohortResult(tmp_path, (CINE,)).write()
    assert [(row["phase"], row["lv_ml"]) for row in read_rows(tmp_path)] == [("0", "3.0"), ("1", "6.0")]


def test_table_says_why_a_scan_failed(tmp_path: Path) -> None:
    CohortResult(tmp_path, (BAD,)).write()
    (row,) = read_rows(tmp_path)
    assert (row["status"], row["reason"], row["phase"], row["lv_ml"]) == ("failed", "EOFError: file ended", "", "")


def test_json_lists_all_scans(tmp_path: Path) -> None:
    CohortResult(tmp_path, (GOOD, BAD)).write()
    listing = json.loads((tmp_path / "segmentation.json").read_text(encoding="utf-8"))
    assert listing["failed"] == 1
    assert [scan["status"] for scan in listing["scans"]] == ["ok", "failed"]
    assert listing["scans"][0]["volumes_ml"] == [{"rv": 90.5, "myo": 80.0, "lv": 100.25}]


def test_no_other_file_is_left(tmp_path: Path) -> None:
    CohortResult(tmp_path, (GOOD,)).write()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["segmentation.csv", "segmentation.json", "studies.csv"]


def test_error_lists_what_failed_and_why() -> None:
    error = CohortError(CohortResult(Path("out"), (GOOD, BAD)))
    assert isinstance(error, InputError)
    assert "1 of 2 scans failed; the masks of the other 1 are in out." in str(error)
    assert "\n  in/b.nii.gz: EOFError: file ended" in str(error)


@pytest.mark.parametrize(("scans", "failed"), [((GOOD, CINE), ()), ((GOOD, BAD), (BAD,))])
def test_failed_scans_are_those_with_a_reason(scans: tuple[ScanResult, ...], failed: tuple[ScanResult, ...]) -> None:
    assert CohortResult(Path("out"), scans).failed == failed


def read_studies(folder: Path) -> list[dict[str, str]]:
    with (folder / "studies.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def with_phases(*lv_voxels: int) -> ScanResult:
    """A scan whose LV has so many voxels of 1 mL in each phase."""
    mask = np.zeros((10, 10, 4, len(lv_voxels)), dtype=np.uint8)
    for phase, number in enumerate(lv_voxels):
        mask.reshape(-1, len(lv_voxels))[:number, phase] = 3
    return ScanResult("a", "a.nii", "a.nii", study=StudyResult(cardiac_function(mask, np.diag([10.0, 10, 10, 1]))))


def test_one_phase_has_a_volume_and_no_number_of_a_named_phase(tmp_path: Path) -> None:
    CohortResult(tmp_path, (with_phases(55),)).write()
    (row,) = read_studies(tmp_path)
    assert (row["lv_ml"], row["rv_ml"], row["myo_ml"]) == ("55.0", "0.0", "0.0")
    assert {row[name] for name in ("lv_edv_ml", "lv_mass_g", "rv_edv_ml", "ed_phase", "lv_ef_percent")} == {""}


def test_cine_has_the_numbers_of_its_phases(tmp_path: Path) -> None:
    CohortResult(tmp_path, (with_phases(100, 40),)).write()
    (row,) = read_studies(tmp_path)
    assert (row["lv_edv_ml"], row["lv_esv_ml"], row["lv_ef_percent"], row["lv_ml"]) == ("100.0", "40.0", "60.0", "")


@pytest.mark.parametrize(("start", "shown"), [*((start, start) for start in "=+-@\t"), ("\r", r"\r")])
def test_text_is_no_formula_of_a_spreadsheet(tmp_path: Path, start: str, shown: str) -> None:
    CohortResult(tmp_path, (ScanResult(f"{start}1", "in", volumes_ml=[{"rv": -1.0, "myo": 0.0, "lv": 0.0}]),)).write()
    assert (read_rows(tmp_path)[0]["case_id"], read_rows(tmp_path)[0]["rv_ml"]) == (f"'{shown}1", "-1.0")
    assert read_studies(tmp_path)[0]["case_id"] == f"'{shown}1"


def test_names_that_are_no_utf_8_are_listed(tmp_path: Path) -> None:
    CohortResult(tmp_path, (ScanResult(os.fsdecode(b"\xff\xfe"), "in"),)).write()
    assert read_rows(tmp_path)[0]["case_id"] == r"\udcff\udcfe"


def test_what_was_left_out_is_in_the_listing(tmp_path: Path) -> None:
    CohortResult(tmp_path, (GOOD,), ({"what": "DICOM images of modality CT", "number": 2},)).write()
    listing = json.loads((tmp_path / "segmentation.json").read_text(encoding="utf-8"))
    assert listing["left_out"] == [{"what": "DICOM images of modality CT", "number": 2}]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)


@pytest.mark.usefixtures("full_disk")
def test_listings_on_a_full_disk_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^The listings .* cannot be written: no space left on .*segmentation.json"):
        CohortResult(tmp_path, (GOOD,)).write()


@pytest.mark.usefixtures("full_disk")
def test_names_on_a_full_disk_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^The names of the scans cannot be written: no space left"):
        write_case_names(tmp_path, [{"case_id": "study_001", "name": "Doe"}])


def test_names_are_written_of_numbered_scans_alone(tmp_path: Path) -> None:
    write_case_names(tmp_path, [{"case_id": "Roe"}])
    assert list(tmp_path.iterdir()) == []
    write_case_names(tmp_path, [{"case_id": "study_001", "name": "Doe"}])
    assert (tmp_path / "case_names.csv").read_text(encoding="utf-8") == "case_id,name\nstudy_001,Doe\n"


def test_further_label_has_a_column(tmp_path: Path) -> None:
    scarred = ScanResult("s", "in/s.nii", "s.nii", volumes_ml=[{"rv": 1.0, "myo": 2.0, "lv": 3.0, "label_4": 0.5}])
    CohortResult(tmp_path, (scarred, GOOD)).write()
    assert [row["label_4_ml"] for row in read_rows(tmp_path)] == ["0.5", "0.0"]

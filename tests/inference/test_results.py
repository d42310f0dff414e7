from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.inference.results import CohortError, CohortResult, ScanResult

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

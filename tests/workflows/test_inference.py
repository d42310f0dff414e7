from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.inference.results import CohortResult, ScanResult
from pipeline.inference.study import StudyOptions, StudyResult
from pipeline.metrics.function import cardiac_function
from pipeline.tracking.run import Run
from pipeline.workflows.inference import _record, last_line, without_names


def test_last_line_counts_in_words_that_agree() -> None:
    scan = ScanResult("a", "a.nii", "a.nii")
    assert last_line(CohortResult(Path("out"), (scan,))) == (
        "Segmented 1 scan: the masks are in out, the numbers in studies.csv there."
    )
    assert last_line(CohortResult(Path("out"), (scan, scan))).startswith("Segmented 2 scans: ")


def test_folder_of_the_scans_is_no_parameter_in_clear() -> None:
    # printf Doe | sha256sum
    digest = "fd53ef835b15"
    params = {"dataset_dir": "Doe", "datalist.dataset_dir": "Doe", "series": "7"}
    hidden = without_names(params)
    assert (hidden["series"], hidden["dataset_dir"]) == ("7", hidden["datalist.dataset_dir"])
    assert hidden["dataset_dir"] == digest


def test_page_on_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "out/report.html")

    monkeypatch.setattr("pipeline.inference.cohort_page.write_cohort_page", fail)
    function = cardiac_function(np.zeros((2, 2, 2, 1), dtype=np.uint8), np.eye(4))
    scan = ScanResult("a", "a.nii", "a.nii", study=StudyResult(function, files={"report": "reports/a.html"}))
    with pytest.raises(InputError, match=r"^The report of the scans cannot be written: no space left on .*report.html"):
        _record(Run(), CohortResult(Path("out"), (scan,)), StudyOptions())

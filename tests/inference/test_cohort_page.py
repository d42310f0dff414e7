from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipeline.inference.cohort_page import write_cohort_page, write_published_page
from pipeline.inference.results import CohortResult, ScanResult
from pipeline.inference.source import open_source
from pipeline.inference.study import StudyWriter, study_options

SaveScan = Callable[..., Path]


@pytest.fixture
def result(tmp_path: Path) -> CohortResult:
    """A good scan with a report, and one that failed."""
    mask = np.zeros((16, 14, 3, 2), dtype=np.uint8)
    mask[4:10, 4:10, 1:], mask[6:8, 6:8, 1:] = 2, 3
    nib.save(nib.Nifti1Image(100 + mask.astype(np.int16), np.diag([1.4, 1.6, 9.0, 1.0])), tmp_path / "a.nii.gz")
    write = StudyWriter(tmp_path / "out", study_options(report=True))
    study = write("Doe", 1, open_source(str(tmp_path / "a.nii.gz")), mask)
    good = ScanResult("Doe", "in/Doe.nii.gz", "Doe.nii.gz", study=study, seconds=1.0)
    return CohortResult(tmp_path / "out", (good, ScanResult("Roe", "in/Roe.nii.gz", reason="Roe is truncated.")))


def test_page_names_the_scans_and_links_their_reports(result: CohortResult) -> None:
    page = write_cohort_page(result, {"weights": "model.pt"}).read_text(encoding="utf-8")
    assert "Roe is truncated." in page
    assert 'href="./reports/Doe.html"' in page


def test_published_page_has_numbers_instead_of_names(result: CohortResult, tmp_path: Path) -> None:
    page = write_published_page(result, {}, tmp_path / "copy").read_text(encoding="utf-8")
    assert "Doe" not in page and "Roe" not in page
    assert "Scan 001" in page and "Scan 002" in page
    assert 'href="./reports/scan_001.html"' in page

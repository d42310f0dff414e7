"""The HTML page of a segmented cohort: its studies, worst first, with pictures and links to their reports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.inference.results import CohortResult, ScanResult
from pipeline.inference.study import published_name, scan_title
from pipeline.reporting.cohort_report import StudyRow, write_cohort_report

COHORT_PAGE = "report.html"


def write_cohort_page(result: CohortResult, provenance: Mapping[str, str]) -> Path:
    """Write ``report.html`` into the cohort's folder, with the names of the scans.

    Args:
        result: what became of the scans.
        provenance: how the masks were made, by name.
    """
    rows = [_row(scan, scan.case_id, _report(result, scan)) for scan in result.scans]
    return write_cohort_report(result.output_dir / COHORT_PAGE, studies=rows, provenance=provenance)


def write_published_page(result: CohortResult, provenance: Mapping[str, str], folder: Path) -> Path:
    """Write the same page into another folder with numbers instead of names, as it goes to an MLflow server.

    Reasons of failure stay out: they name files.

    Args:
        result: what became of the scans.
        provenance: how the masks were made, by name.
        folder: where it is written; its links lead to ``published_name`` below it.
    """
    rows = [
        _row(scan, scan_title(number), folder / published_name(number) if scan.has_report else None, named=False)
        for number, scan in enumerate(result.scans, start=1)
    ]
    return write_cohort_report(folder / COHORT_PAGE, studies=rows, provenance=provenance)


def _report(result: CohortResult, scan: ScanResult) -> Path | None:
    return result.output_dir / scan.study.files["report"] if scan.study and scan.has_report else None


def _row(scan: ScanResult, title: str, report: Path | None, named: bool = True) -> StudyRow:
    study = scan.study
    return StudyRow(
        case_id=title,
        function=study.function if study else None,
        flags=study.flags if study else (),
        seconds=scan.seconds,
        reason=scan.reason if named or not scan.reason else "The scan failed: see the listing beside the masks.",
        report=report,
        picture=study.picture if study else None,
        expected_dice=min(study.expected_mean_dice, default=None) if study else None,
    )

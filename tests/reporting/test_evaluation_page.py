from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.labels import Structure
from pipeline.metrics.case import measure_case
from pipeline.metrics.studies import pair_studies
from pipeline.reporting.evaluation_page import study_agreement, write_evaluation_page
from pipeline.reporting.montage import thumbnail

SPACING_MM = (10.0, 10.0, 10.0)  # a voxel is 1 mL


def mask(lv_voxels: int) -> np.ndarray:
    """A heart whose LV has so many voxels, beside 8 of myocardium and 4 of RV."""
    labels = np.zeros((30, 12, 3), dtype=np.uint8)
    labels[:lv_voxels, 0, 1], labels[:8, 1, 1], labels[:4, 2, 1] = Structure.LV, Structure.MYO, Structure.RV
    return labels


def row(case_id: str, phase: str, pred: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    names = {"case_id": case_id, "patient_id": case_id[:1], "phase": phase, "group": ""}
    return names | measure_case(pred, label, SPACING_MM, surface=False)


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    blind = np.where(mask(12) == Structure.RV, 0, mask(12)).astype(np.uint8)
    return [
        row("a_ed", "ed", mask(20), mask(20)),
        row("a_es", "es", mask(10), mask(8)),
        row("b_ed", "ed", mask(24), mask(20)),
        row("b_es", "es", blind, mask(12)),
        row("c_ed", "ed", mask(20), mask(20)),
    ]


@pytest.fixture
def page(rows: list[dict[str, Any]], tmp_path: Path, read_page: Any) -> Any:
    return read_page(write_evaluation_page(tmp_path / "e.html", rows, pair_studies(rows)))


def test_study_of_two_cases_is_one_line_with_its_numbers(page: Any) -> None:
    # EDV 20, ESV 10, EF 50 %, mass 8 mL times 1.05
    assert "a No flag 20 10 50.0 8 4 0.0" in page.text


def test_case_without_partner_has_its_own_line(page: Any) -> None:
    assert "c_ed No flag – – – – – – 1.000" in page.text


def test_study_with_a_missed_structure_is_flagged_and_first(page: Any) -> None:
    assert "1 of 3 studies need a look" in page.text
    assert page.text.index("Right ventricle missed at ES: the expert drew it.") < page.text.index("c_ed")


def test_page_without_a_flag_says_what_was_looked_for(
    rows: list[dict[str, Any]], tmp_path: Path, read_page: Any
) -> None:
    page = read_page(write_evaluation_page(tmp_path / "e.html", rows[:1], []))
    assert "Flagged is here a structure that the software missed" in page.text


def test_agreement_is_of_the_studies(rows: list[dict[str, Any]]) -> None:
    pairs = {pairs.name: pairs.known() for pairs in study_agreement(pair_studies(rows))}
    assert pairs["LV EF"] == [("a", 50.0, 60.0), ("b", 50.0, 40.0)]
    assert pairs["LV EDV"] == [("a", 20.0, 20.0), ("b", 24.0, 20.0)]


def test_picture_of_a_study_is_its_worst_case(rows: list[dict[str, Any]], tmp_path: Path, read_page: Any) -> None:
    affine = np.diag([-10.0, -10.0, 10.0, 1.0])
    image = np.random.default_rng(0).normal(100, 20, (30, 12, 3))
    ed, es = (thumbnail(image, one, affine, one) for one in (mask(24), mask(12)))
    page = read_page(write_evaluation_page(tmp_path / "e.html", rows, pair_studies(rows), {"b_ed": ed, "b_es": es}))
    assert [picture["href"] for picture in page.all("image")] == [es.picture]

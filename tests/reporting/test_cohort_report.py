from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.metrics.case import measure_case
from pipeline.metrics.quality import QualityFlag
from pipeline.reporting.bland_altman import AgreementPairs
from pipeline.reporting.cohort_report import StudyRow, write_cohort_report
from pipeline.reporting.montage import thumbnail

FLAG = QualityFlag("ef_outside", "The ejection fraction of 3 % is outside of 5 to 90 %.")
EF = AgreementPairs("LV EF", "%", ["a", "b", "c"], [60.0, 50.0, 40.0], [58.0, 50.0, 41.0])


def case_row(case_id: str, shift: int, phase: str = "ed", patient_id: str = "") -> dict[str, Any]:
    """A row of metrics.csv: the prediction is the label moved by some voxels."""
    label = np.zeros((12, 12, 3), dtype=np.uint8)
    label[2:5, 2:9], label[5:8, 2:9], label[6:7, 4:7] = 1, 2, 3
    measured = measure_case(np.roll(label, shift, axis=1), label, (1.0, 1.0, 8.0))
    return {"case_id": case_id, "patient_id": patient_id, "phase": phase, "group": ""} | measured


def order(page: Any, names: list[str]) -> list[str]:
    return sorted(names, key=page.text.index)


def test_failed_come_first_then_flagged_then_by_name(tmp_path: Path, study: Any, read_page: Any) -> None:
    good = [StudyRow(name, study.function()) for name in ("study-b", "study-a")]
    studies = [*good, StudyRow("study-c", study.function(), [FLAG]), StudyRow("study-d", reason="no such file")]
    page = read_page(write_cohort_report(tmp_path / "c.html", studies=studies))
    assert order(page, ["study-a", "study-b", "study-c", "study-d"]) == ["study-d", "study-c", "study-a", "study-b"]


def test_reasons_and_counts_are_on_the_page(tmp_path: Path, study: Any, read_page: Any) -> None:
    studies = [StudyRow("a", study.function(), [FLAG]), StudyRow("b", reason="no such file")]
    page = read_page(write_cohort_report(tmp_path / "c.html", studies=studies))
    assert "2 of 2 studies need a look 1 failed and has no numbers, 1 was flagged" in page.text
    assert "Failed no such file" in page.text
    assert "Look at it The ejection fraction of 3 %" in page.text


def test_cohort_without_a_problem_says_what_that_means(tmp_path: Path, study: Any, read_page: Any) -> None:
    page = read_page(write_cohort_report(tmp_path / "c.html", studies=[StudyRow("a", study.function())]))
    assert "1 study, none failed, none flagged" in page.text


def test_lowest_dice_comes_first(tmp_path: Path, study: Any, read_page: Any) -> None:
    rows = [
        case_row("study-a", 0),
        case_row("study-b_ed", 2, "ed", "study-b"),
        case_row("study-b_es", 3, "es", "study-b"),
    ]
    studies = [StudyRow(name, study.function()) for name in ("study-a", "study-b")]
    page = read_page(write_cohort_report(tmp_path / "c.html", studies=studies, dice=pd.DataFrame(rows)))
    assert order(page, ["study-a", "study-b"]) == ["study-b", "study-a"]


def test_without_labels_the_lowest_expected_dice_comes_first(tmp_path: Path, study: Any, read_page: Any) -> None:
    expected = {"study-a": 0.91, "study-b": 0.72, "study-c": None}
    studies = [StudyRow(name, study.function(), expected_dice=value) for name, value in expected.items()]
    page = read_page(write_cohort_report(tmp_path / "c.html", studies=studies))
    assert order(page, [*expected]) == ["study-b", "study-a", "study-c"]
    assert "by the Dice that the masks expect of themselves" in page.text
    assert "0.720" in page.text


def test_dice_of_each_structure_and_phase(tmp_path: Path, read_page: Any) -> None:
    rows = pd.DataFrame([case_row("a", 0), case_row("b", 1, "es")])
    page = read_page(write_cohort_report(tmp_path / "c.html", studies=[], dice=rows))
    # 3 of 3 pixels a column, moved by one: 2 of 3 overlap
    assert "LV ED 1 1.000 – 1.000 1.000 0 LV ES 1 0.667 – 0.667 0.667 0 LV all 2 0.833" in page.text
    assert next(svg["aria-label"] for svg in page.all("svg")).startswith("Dice of each case")


def test_agreement_has_bias_and_limits(tmp_path: Path, read_page: Any) -> None:
    page = read_page(write_cohort_report(tmp_path / "c.html", studies=[], agreement=[EF]))
    # differences 2, 0, -1: mean 0.333, sd 1.528
    assert "LV EF % 3 +0.3 1.5 \N{MINUS SIGN}2.7 to +3.3 1.0" in page.text
    assert "bias +0.3" in page.text
    assert "a: measured 60.0, reference 58.0 %" in page.text


@pytest.mark.parametrize(
    ("pairs", "shown"),
    [
        (AgreementPairs("LV mass", "g", ["a"], [100.0], [90.0]), "LV mass g 1 +10.0 – – 10.0 –"),
        (AgreementPairs("LV mass", "g", ["a"], [None], [90.0]), "0 studies, none failed"),
    ],
)
def test_few_pairs_have_no_limits(tmp_path: Path, read_page: Any, pairs: AgreementPairs, shown: str) -> None:
    page = read_page(write_cohort_report(tmp_path / "c.html", studies=[], agreement=[pairs]))
    assert shown in page.text


def test_reports_are_linked_relatively(tmp_path: Path, study: Any, read_page: Any) -> None:
    row = StudyRow("a", study.function(), report=tmp_path / "reports" / "a b#1?.html")
    page = read_page(write_cohort_report(tmp_path / "c.html", studies=[row]))
    assert page.all("a") == [{"href": "./reports/a%20b%231%3F.html"}]


def test_hostile_text_stays_text(tmp_path: Path, study: Any, read_page: Any, hostile: str) -> None:
    row = StudyRow(
        hostile, study.function(), [QualityFlag(hostile, hostile)], report=tmp_path / hostile.replace("\0", "")
    )
    pairs = AgreementPairs(hostile, hostile, [hostile, "b"], [60.0, 50.0], [58.0, 50.0])
    path = write_cohort_report(
        tmp_path / "c.html",
        studies=[row, StudyRow(hostile, reason=hostile)],
        dice=pd.DataFrame([case_row(hostile, 1)], dtype=object),
        agreement=[pairs],
        provenance={hostile: hostile},
        title=hostile,
    )
    page = read_page(path)
    assert page.loads() == []
    assert page.all("script") == [{}]
    assert not any(character in page.source for character in "\u202e\x00\x1b")


def test_only_the_own_script_may_run(tmp_path: Path, read_page: Any) -> None:
    page = read_page(write_cohort_report(tmp_path / "c.html", studies=[]))
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert "script-src 'sha256-" in policy
    assert "unsafe" not in policy


def test_pictures_are_small(tmp_path: Path, study: Any, read_page: Any) -> None:
    picture = thumbnail(study.image[..., 0], study.mask[..., 0], study.affine)
    path = write_cohort_report(tmp_path / "c.html", studies=[StudyRow("a", study.function(), picture=picture)])
    assert len(read_page(path).all("image")) == 1
    assert path.stat().st_size < 40_000


def test_unknown_numbers_are_a_dash(tmp_path: Path, read_page: Any) -> None:
    page = read_page(write_cohort_report(tmp_path / "c.html", studies=[StudyRow("a", reason="broken")]))
    assert "Failed broken – – – – – –" in page.text


def test_columns_that_no_study_has_are_left_out(tmp_path: Path, study: Any, read_page: Any) -> None:
    page = read_page(write_cohort_report(tmp_path / "c.html", studies=[StudyRow("a", study.function())]))
    assert "Time" not in page.text
    timed = read_page(write_cohort_report(tmp_path / "d.html", studies=[StudyRow("a", study.function(), seconds=2.0)]))
    assert "Time s" in timed.text


def test_one_phase_has_a_volume_in_a_column_of_its_own(tmp_path: Path, study: Any, read_page: Any) -> None:
    one = type(study)(study.image[..., :1], study.mask[..., :1], study.affine).function()
    page = read_page(write_cohort_report(tmp_path / "c.html", studies=[StudyRow("a", one)]))
    assert "LV volume mL RV volume mL" in page.text
    assert f"No flag – – – – – – {one.lv_ml[0]:.0f} {one.rv_ml[0]:.0f}" in page.text


def test_cohort_of_cines_has_no_column_of_one_phase(tmp_path: Path, study: Any, read_page: Any) -> None:
    page = read_page(write_cohort_report(tmp_path / "c.html", studies=[StudyRow("a", study.function())]))
    assert "LV volume" not in page.text

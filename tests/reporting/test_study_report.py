from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data.dicom.cine import Repair
from pipeline.metrics.quality import QualityFlag
from pipeline.reporting import study_report
from pipeline.reporting.study_report import write_study_report

MAX_BYTES = 1_500_000
FLAG = QualityFlag("lv_in_pieces", "The left ventricle lies in 2 pieces.", 3)


@pytest.fixture(scope="module")
def page(study: Any, known: Any, read_page: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("report") / "a.html"
    provenance = {"software": "pipeline 1.2", "weights": "sha256 abc"}
    return read_page(write_study_report(path, title="case 7", provenance=provenance, **study.arguments(**known)))


def test_report_is_one_small_file(study: Any, tmp_path: Path) -> None:
    path = write_study_report(tmp_path / "new" / "a.html", title="a", **study.arguments())
    assert [file.name for file in path.parent.iterdir()] == ["a.html"]
    assert path.stat().st_size < MAX_BYTES


def test_page_loads_and_runs_nothing(page: Any) -> None:
    assert page.loads() == []
    assert page.all("script") == page.all("iframe") == []


def test_policy_allows_only_the_pictures_inside_and_the_own_style(page: Any) -> None:
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "script-src" not in policy


def test_numbers_are_on_the_page(page: Any, study: Any, known: Any) -> None:
    function = study.function(**known)
    assert f"EDV end-diastolic volume {function.lv_edv_ml:.0f} mL {function.lv_edv_index_ml_m2:.0f} mL/m²" in page.text
    assert f"EF ejection fraction {function.rv_ef_percent:.0f} %" in page.text
    assert f"CO cardiac output {function.lv_cardiac_output_l_min:.1f} L/min" in page.text


def test_normal_ranges_have_their_source(page: Any) -> None:
    assert "women 54–75 % men 52–73 %" in page.text
    assert "Circ Cardiovasc Imaging 17:e016090, 2024" in page.text


def test_provenance_and_intended_use_are_on_the_page(page: Any) -> None:
    assert "software pipeline 1.2 weights sha256 abc" in page.text
    assert "Research use only. Not a medical device." in page.text


def test_curve_is_in_milliseconds_where_they_are_known(page: Any) -> None:
    assert "time after the R wave, ms" in page.text


def test_curve_is_in_phases_where_times_are_not_known(study: Any, tmp_path: Path, read_page: Any) -> None:
    page = read_page(write_study_report(tmp_path / "a.html", title="a", **study.arguments()))
    assert " ms " not in page.text
    assert "Indexed: by body surface; not here" in page.text


def test_ed_and_es_show_the_same_slices(page: Any) -> None:
    captions = [word.strip() for word in page.words if ", slice " in word]
    ed, es = ([word[4:] for word in captions if word.startswith(phase)] for phase in ("ED", "ES"))
    assert ed == es
    assert len(ed) >= 6


def test_every_picture_has_a_description(page: Any) -> None:
    pictures = [svg for svg in page.all("svg") if svg.get("aria-hidden") != "true"]
    assert len(pictures) > 10
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in pictures)


def test_headings_of_tables_have_a_scope(page: Any) -> None:
    assert {heading["scope"] for heading in page.all("th")} == {"col", "row"}
    assert page.all("html")[0]["lang"] == "en"


def test_flagged_study_says_so_before_its_numbers(study: Any, tmp_path: Path, read_page: Any) -> None:
    page = read_page(write_study_report(tmp_path / "a.html", title="a", flags=[FLAG], **study.arguments()))
    assert "Flagged: look at the contours before using the numbers" in page.text
    assert page.text.index("lies in 2 pieces. (phase 4 of 12)") < page.text.index("Measure Value")


def test_study_without_flag_says_what_that_means(page: Any) -> None:
    assert "No quality flag" in page.text
    assert "Flagged" not in page.text


def test_repairs_are_listed(study: Any, tmp_path: Path, read_page: Any) -> None:
    repairs = [Repair("slice 3 has 11 of 12 phases", "the slice was left out")]
    page = read_page(write_study_report(tmp_path / "a.html", title="a", repairs=repairs, **study.arguments()))
    assert "slice 3 has 11 of 12 phases the slice was left out" in page.text


def test_identifiers_are_shown_only_where_given(study: Any, tmp_path: Path, read_page: Any) -> None:
    page = read_page(
        write_study_report(tmp_path / "a.html", title="a", identifiers={"Name": "Doe^J"}, **study.arguments())
    )
    assert "Name Doe^J" in page.text


def test_hostile_text_stays_text(study: Any, tmp_path: Path, read_page: Any, hostile: str) -> None:
    path = write_study_report(
        tmp_path / "a.html",
        title=hostile,
        flags=[QualityFlag(hostile, hostile)],
        repairs=[Repair(hostile, hostile)],
        provenance={hostile: hostile},
        identifiers={hostile: hostile},
        **study.arguments(),
    )
    page = read_page(path)
    assert page.loads() == []
    assert page.all("script") == []
    assert not any(character in page.source for character in "\u202e\x00\x1b")


def test_expert_contour_is_drawn(study: Any, tmp_path: Path, read_page: Any) -> None:
    page = read_page(write_study_report(tmp_path / "a.html", title="a", label=study.mask, **study.arguments()))
    assert "expert's contour" in page.text
    assert any(path.get("class") == "outline-label" for path in page.all("path"))


def test_empty_mask_is_reported(study: Any, tmp_path: Path, read_page: Any) -> None:
    empty = type(study)(study.image, np.zeros_like(study.mask), study.affine)
    page = read_page(write_study_report(tmp_path / "a.html", title="a", **empty.arguments()))
    assert "with contours of nothing" in page.source
    assert "EF ejection fraction –" in page.text


def test_single_phase_has_no_curve(study: Any, tmp_path: Path, read_page: Any) -> None:
    one = type(study)(study.image[..., :1], study.mask[..., :1], study.affine)
    page = read_page(write_study_report(tmp_path / "a.html", title="a", **one.arguments()))
    assert "No curve: the scan has 1 phase." in page.text
    assert "End-systole" not in page.text


def test_shapes_that_differ_are_refused(study: Any, tmp_path: Path) -> None:
    arguments = study.arguments() | {"image": study.image[:-1]}
    with pytest.raises(ValueError, match=r"must be \(X, Y, slices, phases\) and of one shape"):
        write_study_report(tmp_path / "a.html", title="a", **arguments)


def test_numbers_of_other_phases_are_refused(study: Any, tmp_path: Path) -> None:
    arguments = {"image": study.image[..., :5], "mask": study.mask[..., :5]}
    with pytest.raises(ValueError, match="must have the phases of the mask, got 12 for 5"):
        write_study_report(tmp_path / "a.html", title="a", **(study.arguments() | arguments))


def test_failed_writing_leaves_nothing(study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(OSError, match="No space left"):
        study_report.write_study_report(tmp_path / "a.html", title="a", **study.arguments())
    assert list(tmp_path.iterdir()) == []

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.reporting.studies_table import MAX_STUDIES, format_studies

HEAD = "case_id,status,num_flags,lv_edv_ml,lv_esv_ml,lv_ef_percent,lv_ml,reason,lowest_expected_mean_dice\n"


def lines(tmp_path: Path, *rows: str) -> list[str]:
    path = tmp_path / "studies.csv"
    path.write_text(HEAD + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return format_studies(path).splitlines()


def test_study_has_a_line(tmp_path: Path) -> None:
    assert lines(tmp_path, "p/a,ok,2,140.5,56.1,60.07,,,") == [
        "study  LV EDV mL  LV ESV mL  LV EF %  flags",
        "p/a        140.5       56.1    60.07      2",
    ]


def test_one_phase_has_a_column(tmp_path: Path) -> None:
    head, line = lines(tmp_path, "a,ok,0,,,,55.0,,")
    assert "one phase, LV mL" in head
    assert line.split() == ["a", "-", "-", "-", "55.0", "0"]


def test_failed_study_has_its_reason_on_its_line(tmp_path: Path) -> None:
    assert lines(tmp_path, 'b,failed,,,,,,"cut\noff",')[1].endswith("failed: cut off")


def test_name_does_not_write_into_the_terminal(tmp_path: Path) -> None:
    assert "\x1b" not in "".join(lines(tmp_path, "a\x1b[31m,ok,0,,,,,,"))


def test_long_list_ends_with_how_many_more(tmp_path: Path) -> None:
    assert lines(tmp_path, *["a,ok,0,1,1,1,,,"] * (MAX_STUDIES + 2))[-1] == "and 2 more"


def test_failed_come_first_then_the_lowest_expected_dice(tmp_path: Path) -> None:
    rows = ["a,ok,0,1,1,1,,,0.93", "b,ok,0,1,1,1,,,0.71", "c,failed,,,,,,cut off,", "d,ok,0,1,1,1,,,"]
    assert [line.split()[0] for line in lines(tmp_path, *rows)] == ["study", "c", "b", "a", "d"]


def test_expected_dice_has_a_column_where_it_is_known(tmp_path: Path) -> None:
    head, line = lines(tmp_path, "b,ok,0,1,1,1,,,0.71")
    assert head.endswith("expected Dice")
    assert line.endswith("0.71")


def test_other_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "studies.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"studies.csv is no list of studies of this version"):
        format_studies(tmp_path / "studies.csv")

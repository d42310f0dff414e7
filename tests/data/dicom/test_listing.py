"""What a folder holds, as objects and as a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.data.dicom import find_cines, format_cines
from pipeline.errors import InputError

WriteStudy = Callable[..., Path]


@pytest.fixture
def mixed(write_study: WriteStudy) -> Path:
    """A cine, a scout and an LGE of one study, and a CT of another."""
    write_study("all/a_cine")
    write_study("all/b_scout", slices=1, phases=1, SeriesNumber=1, SeriesInstanceUID="1.21")
    write_study("all/c_lge", phases=1, SeriesNumber=9, SeriesInstanceUID="1.29", InversionTime=300)
    return write_study("all/d_ct", Modality="CT", StudyInstanceUID="1.8", SeriesNumber=2).parent


def test_series_are_listed_study_by_study(mixed: Path) -> None:
    mr, ct = find_cines(mixed)
    assert [(series.series_number, series.kind, series.chosen) for series in mr.series] == [
        (1, "scout", False),
        (5, "short-axis cine", True),
        (9, "late enhancement", False),
    ]
    assert [series.kind for series in ct.series] == ["CT"]
    assert (mr.problem, "no short-axis cine" in ct.problem) == ("", True)


def test_series_say_what_they_are(mixed: Path) -> None:
    cine = find_cines(mixed)[0].series[1]
    assert (cine.slices, cine.phases, cine.columns, cine.rows) == (3, 5, 8, 6)
    assert cine.spacing_mm == pytest.approx((1.25, 1.5, 8.0), abs=1e-4)
    assert cine.transfer_syntax == "Explicit VR Little Endian"
    assert cine.reason.startswith("the only short-axis cine")


def test_series_can_be_overruled(mixed: Path) -> None:
    mr, ct = find_cines(mixed, 9)
    assert [series.chosen for series in mr.series] == [False, False, True]
    assert "series must be" in ct.problem


def test_problems_are_listed(write_study: WriteStudy) -> None:
    folder = write_study()
    (folder / "1_1").unlink()
    (folder / "bad").write_bytes(bytes.fromhex("3080 06092a864886f70d010703") + bytes(200))
    (study,) = find_cines(folder)
    assert [problem.split(":")[0] for problem in study.series[0].problems] == [
        f"{folder / 'bad'} is left out",
        "slice 2 of 3 has 4 phases instead of 5",
    ]


def test_chosen_series_that_cannot_be_read_says_why(write_study: WriteStudy) -> None:
    folder = write_study()
    for phase in range(4):
        (folder / f"1_{phase}").unlink()
    (study,) = find_cines(folder)
    assert study.series[0].chosen
    assert study.series[0].problems == (study.problem,)
    assert "1 of 5 phases" in study.problem


def test_series_without_place_has_no_spacing(write_study: WriteStudy) -> None:
    (study,) = find_cines(write_study(PixelSpacing=None))
    assert study.series[0].spacing_mm is None
    assert "no grid" in format_cines([study])


def test_table_has_a_line_a_series(mixed: Path) -> None:
    lines = format_cines(find_cines(mixed)).splitlines()
    assert lines[0].split()[:3] == ["study", "series", "description"]
    assert [line.split()[:3] for line in lines[2:6]] == [
        ["1", "1", "cine"], ["1", "5", "cine"], ["1", "9", "cine"], ["2", "2", "cine"],
    ]  # fmt: skip
    assert "1.25 x 1.50 x 8.00" in lines[3] and " yes" in lines[3]
    assert "study 2: " in lines[-1]


def test_table_names_no_patient_and_steers_no_terminal(write_study: WriteStudy) -> None:
    text = format_cines(find_cines(write_study(SeriesDescription="a\x1b[2J\nb", SeriesNumber=None)))
    assert "Secret" not in text and "SECRET" not in text
    assert "a?[2J?b" in text and all(line.isprintable() for line in text.splitlines())


def test_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no DICOM image"):
        find_cines(tmp_path)

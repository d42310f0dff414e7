from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.metrics.function import CardiacFunction
from pipeline.reporting.numbers_table import NumberRow, known_numbers, number_notes, number_tables

FUNCTION = CardiacFunction(
    lv_ml=(140.0, 56.0),
    rv_ml=(150.0, 66.0),
    myo_ml=(100.0, 101.0),
    ed_phase=0,
    es_phase=1,
    phase_times_ms=None,
    lv_edv_ml=140.4,
    lv_esv_ml=56.0,
    lv_sv_ml=84.4,
    lv_ef_percent=60.1,
    lv_mass_g=105.0,
    rv_edv_ml=150.0,
    rv_esv_ml=66.0,
    rv_sv_ml=84.0,
    rv_ef_percent=56.0,
    lv_edv_index_ml_m2=75.0,
)


def row(function: CardiacFunction, ventricle: int, short: str, sex: str | None = None) -> NumberRow:
    return next(row for row in number_tables(function, sex)[ventricle].rows if row.short == short)


def test_number_stands_beside_its_index_and_its_range() -> None:
    edv = row(FUNCTION, 0, "EDV", "F")
    assert (edv.value, edv.unit, edv.index, edv.index_unit) == ("140", "mL", "75", "mL/m²")
    assert edv.normal == ("women 56–96 mL/m²",)


def test_both_ranges_are_shown_where_the_sex_is_unknown() -> None:
    assert row(FUNCTION, 1, "EF").normal == ("women 49–71 %", "men 47–68 %")


@pytest.mark.parametrize(
    ("ef", "sex", "outside"),
    [
        (53.0, "F", "below"),
        (53.0, "M", ""),
        (53.0, None, ""),
        (51.0, None, "below"),
        (74.0, "M", "above"),
        (76.0, None, "above"),
    ],
)
def test_number_outside_of_its_range_is_marked(ef: float, sex: str | None, outside: str) -> None:
    assert row(replace(FUNCTION, lv_ef_percent=ef), 0, "EF", sex).outside == outside


def test_unknown_number_has_no_text_and_no_verdict() -> None:
    ef = row(replace(FUNCTION, lv_ef_percent=None), 0, "EF")
    assert (ef.value, ef.index, ef.outside) == (None, None, "")


def test_notes_say_what_is_missing() -> None:
    notes = " ".join(number_notes(FUNCTION))
    assert "women and men, as the sex is not known" in notes
    assert "not here, as height and weight are not known" in notes
    assert "no cardiac output" in notes


def test_notes_say_what_is_known() -> None:
    known = replace(FUNCTION, height_cm=180.0, weight_kg=80.0, body_surface_area_m2=2.0, heart_rate_bpm=60.0)
    notes = " ".join(number_notes(known, "male"))
    assert "Normal: 95 % of healthy adults." in notes
    assert "Indexed: by body surface, 2.00 m² by Mosteller from 180 cm, 80 kg." in notes
    assert "Heart rate 60 beats a minute." in notes


ONE_PHASE = replace(FUNCTION, lv_ml=(55.0,), rv_ml=(60.0,), myo_ml=(90.0,), es_phase=0, heart_rate_bpm=60.0)


def test_one_phase_has_volumes_without_ranges() -> None:
    rows = [(row.short, row.value, row.normal, row.outside) for table in number_tables(ONE_PHASE) for row in table.rows]
    assert rows == [
        ("LV volume", "55", (), ""),
        ("Myocardium", "90", (), ""),
        ("RV volume", "60", (), ""),
    ]


def test_note_of_one_phase_says_what_is_not_known() -> None:
    (note,) = number_notes(ONE_PHASE)
    assert "Whether it is end-diastole is not known" in note


def test_numbers_of_one_phase_are_its_volumes_and_the_patients() -> None:
    known = {name: value for name, value in known_numbers(ONE_PHASE).items() if value is not None}
    assert known == {"lv_ml": 55.0, "rv_ml": 60.0, "myo_ml": 90.0, "heart_rate_bpm": 60.0}


def test_numbers_of_several_phases_are_those_of_the_function() -> None:
    known = known_numbers(FUNCTION)
    assert (known["lv_edv_ml"], known["rv_esv_ml"], known["lv_ml"]) == (140.4, 66.0, None)

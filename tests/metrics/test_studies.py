from __future__ import annotations

import json
import math
from typing import Any

import pytest

from pipeline.metrics.studies import QUANTITIES, agreement_scalars, compare, pair_studies, summarize_studies

VOLUMES = {"ed": {"lv": 150.0, "rv": 160.0, "myo": 100.0}, "es": {"lv": 60.0, "rv": 80.0, "myo": 110.0}}


def row(patient: str, phase: str, error_ml: float = 0.0, **changes: Any) -> dict[str, Any]:
    """Return a case whose prediction is larger than its label by ``error_ml`` in each structure."""
    figures: dict[str, Any] = {"case_id": f"{patient}_{phase}", "patient_id": patient, "phase": phase, "group": "NOR"}
    for key, volume in VOLUMES.get(phase, VOLUMES["ed"]).items():
        figures |= {f"volume_ml_{key}": volume + error_ml, f"label_volume_ml_{key}": volume}
    return figures | changes


STUDY = pair_studies([row("a", "ed", 10.0), row("a", "es", 5.0)])[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    # predicted LV 160 to 65 mL: 95 of 160; RV 170 to 85 mL: 85 of 170; muscle 110 mL x 1.05 g/mL
    [
        ("lv_edv_ml", 160.0),
        ("lv_esv_ml", 65.0),
        ("lv_sv_ml", 95.0),
        ("lv_ef_percent", 59.375),
        ("lv_mass_g", 115.5),
        ("rv_edv_ml", 170.0),
        ("rv_esv_ml", 85.0),
        ("rv_sv_ml", 85.0),
        ("rv_ef_percent", 50.0),
    ],
)
def test_numbers_of_the_prediction(name: str, expected: float) -> None:
    assert STUDY[name] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"), [("lv_edv_ml", 150.0), ("lv_ef_percent", 60.0), ("lv_mass_g", 105.0), ("rv_ef_percent", 50.0)]
)
def test_numbers_of_the_label(name: str, expected: float) -> None:
    assert STUDY[f"label_{name}"] == pytest.approx(expected)


def test_columns_of_a_study() -> None:
    names = ["study_id", "patient_id", "group", *QUANTITIES, *(f"label_{name}" for name in QUANTITIES)]
    assert list(STUDY) == names


def test_studies_are_sorted() -> None:
    rows = [row(patient, phase) for phase in ("ed", "es") for patient in ("b", "a")]
    assert [study["study_id"] for study in pair_studies(rows)] == ["a", "b"]


def test_two_scans_of_one_patient_are_two_studies() -> None:
    rows = [row(scan, phase, patient_id="a") for scan in ("a", "copy") for phase in ("ed", "es")]
    assert [study["study_id"] for study in pair_studies(rows)] == ["a", "copy"]


def test_cases_named_otherwise_are_paired_by_patient() -> None:
    rows = [row("a", "ed", case_id="scan7"), row("a", "es", case_id="scan8")]
    assert [study["study_id"] for study in pair_studies(rows)] == ["a"]


@pytest.mark.parametrize(
    "rows",
    [
        [row("a", "ed")],
        [row("a", "ed"), row("b", "es")],
        [row("a", ""), row("a", "", case_id="b")],
        [row("a", "ed", case_id="1"), row("a", "ed", case_id="2"), row("a", "es", case_id="3")],
    ],
)
def test_cases_without_their_one_partner_are_no_study(rows: list[dict[str, Any]]) -> None:
    assert pair_studies(rows) == []


def test_structure_missed_counts_as_zero() -> None:
    study = pair_studies([row("a", "ed"), row("a", "es", volume_ml_lv=0.0)])[0]
    assert (study["lv_esv_ml"], study["lv_ef_percent"]) == (0.0, 100.0)


def test_lv_missed_at_ed_has_no_ejection_fraction() -> None:
    study = pair_studies([row("a", "ed", volume_ml_lv=0.0), row("a", "es")])[0]
    assert (study["lv_edv_ml"], study["lv_ef_percent"]) == (0.0, None)


def test_structure_not_drawn_has_no_reference() -> None:
    study = pair_studies([row("a", phase, label_volume_ml_rv=0.0) for phase in ("ed", "es")])[0]
    assert (study["label_rv_edv_ml"], study["label_rv_sv_ml"], study["label_rv_ef_percent"]) == (None, None, None)


def test_planes_have_no_volumes() -> None:
    study = pair_studies([row("a", phase, volume_ml_lv=math.nan) for phase in ("ed", "es")])[0]
    assert study["lv_edv_ml"] is None


STUDIES = pair_studies(
    [row(patient, phase, error) for patient, error in (("a", 2.0), ("b", 4.0), ("c", 6.0)) for phase in ("ed", "es")]
)


def test_difference_is_measured_minus_label() -> None:
    assert compare(STUDIES, "lv_edv_ml").bias == pytest.approx(4.0)


def test_summary_has_each_quantity() -> None:
    assert list(summarize_studies(STUDIES)["quantities"]) == list(QUANTITIES)


def test_summary_counts_the_studies() -> None:
    assert summarize_studies(STUDIES)["num_studies"] == 3


def test_summary_is_json() -> None:
    section = summarize_studies(STUDIES)
    assert json.loads(json.dumps(section, allow_nan=False))["quantities"]["lv_edv_ml"]["sd"] == pytest.approx(2.0)


def test_cohort_without_studies_has_no_summary() -> None:
    assert summarize_studies([]) == {}


def test_rows_without_volumes_have_no_summary() -> None:
    bare = [{key: row("a", phase)[key] for key in ("case_id", "patient_id", "phase")} for phase in ("ed", "es")]
    assert summarize_studies(pair_studies(bare)) == {}


def test_scalars_are_named_by_quantity_and_figure() -> None:
    assert agreement_scalars(summarize_studies(STUDIES))["agreement.lv_edv_ml.bias"] == pytest.approx(4.0)


def test_scalars_leave_out_what_is_unknown() -> None:
    one = agreement_scalars(summarize_studies(STUDIES[:1]))
    assert {key for key in one if "lv_edv_ml" in key} == {
        f"agreement.lv_edv_ml.{figure}" for figure in ("bias", "mean_absolute_error", "n")
    }


def test_scalars_leave_out_quantities_of_no_study() -> None:
    undrawn = pair_studies([row("a", phase, label_volume_ml_rv=0.0) for phase in ("ed", "es")])
    assert not any("rv_" in key for key in agreement_scalars(summarize_studies(undrawn)))

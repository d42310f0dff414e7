from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline.metrics.studies import QUANTITIES, summarize_studies
from pipeline.reporting.agreement import format_agreement, quantity_title, write_studies


def study(name: str, bias: float, reference: float | None = 100.0) -> dict[str, object]:
    numbers: dict[str, object] = {"study_id": name, "patient_id": name, "group": "NOR"}
    for quantity in QUANTITIES:
        numbers[quantity] = 100.0 + bias
        numbers[f"label_{quantity}"] = None if quantity.startswith("rv") else reference
    return numbers


STUDIES = [study("a", 1.0), study("b", 3.0), study("c", 0.0, None)]
TABLE = format_agreement(summarize_studies(STUDIES))
LINES = {" ".join(line.split()[:2]): line.split() for line in TABLE.splitlines()}


def test_line_of_a_quantity() -> None:
    # differences 1 and 3: bias 2, sd 1.414, limits 2 - 2.77 and 2 + 2.77; two pairs have no correlation
    assert LINES["LV EDV"] == ["LV", "EDV", "mL", "2", "1", "+2.0", "1.4", "-0.8", "to", "+4.8", "2.0", "-", "-"]


def test_quantity_that_no_label_has_shows_dashes() -> None:
    assert LINES["RV EF"] == ["RV", "EF", "%", "0", "3", "-", "-", "-", "-", "-", "-"]


def test_columns_align() -> None:
    assert len({len(line) for line in TABLE.splitlines()}) == 1


def test_table_is_ascii() -> None:
    assert TABLE.isascii()


@pytest.mark.parametrize(
    ("name", "title"), [("lv_edv_ml", "LV EDV mL"), ("rv_ef_percent", "RV EF %"), ("lv_mass_g", "LV mass g")]
)
def test_title(name: str, title: str) -> None:
    assert quantity_title(name) == title


def test_file_has_a_study_a_row(tmp_path: Path) -> None:
    table = pd.read_csv(write_studies(tmp_path / "new" / "volumes.csv", STUDIES))
    assert table["study_id"].tolist() == ["a", "b", "c"]


def test_unknown_numbers_are_empty(tmp_path: Path) -> None:
    write_studies(tmp_path / "volumes.csv", STUDIES)
    assert pd.read_csv(tmp_path / "volumes.csv")["label_rv_edv_ml"].isna().all()

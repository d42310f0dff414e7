from __future__ import annotations

from dataclasses import fields

import pytest

from pipeline.metrics.function import CardiacFunction
from pipeline.metrics.normal_ranges import NORMAL_RANGES, NormalRange, normal_ranges


@pytest.mark.parametrize("sex", ["male", "M", " m "])
def test_range_of_men(sex: str) -> None:
    assert [(found.lower, found.upper) for found in normal_ranges("lv_ef_percent", sex)] == [(52.0, 73.0)]


@pytest.mark.parametrize("sex", ["female", "F"])
def test_range_of_women(sex: str) -> None:
    assert [(found.lower, found.upper) for found in normal_ranges("lv_edv_index_ml_m2", sex)] == [(56.0, 96.0)]


@pytest.mark.parametrize("sex", [None, "", "O", "unknown"])
def test_unknown_sex_has_both_ranges(sex: str | None) -> None:
    assert [found.sex for found in normal_ranges("rv_ef_percent", sex)] == ["female", "male"]


def test_number_without_a_source_has_no_range() -> None:
    assert normal_ranges("lv_edv_ml", "male") == ()


def test_names_are_numbers_of_a_study() -> None:
    assert {found.name for found in NORMAL_RANGES} <= {field.name for field in fields(CardiacFunction)}


def test_limits_are_in_order() -> None:
    assert all(found.lower < found.upper for found in NORMAL_RANGES)


@pytest.mark.parametrize(("value", "expected"), [(51.9, False), (52.0, True), (73.0, True), (73.1, False)])
def test_limits_belong_to_the_range(value: float, expected: bool) -> None:
    assert NormalRange("lv_ef_percent", "male", 52.0, 73.0).holds(value) is expected


def test_source_is_named() -> None:
    assert "e016090" in normal_ranges("lv_ef_percent")[0].source

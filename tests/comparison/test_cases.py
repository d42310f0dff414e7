from __future__ import annotations

import math

import numpy as np
import pytest
from mlflow import MlflowClient

from pipeline.comparison.cases import Cases, parse_cases, pool, read_cases
from pipeline.comparison.mlflow_source import MlflowSource
from pipeline.comparison.records import read_run
from pipeline.errors import InputError

TABLE = "case_id,patient_id,phase,mean_dice,missed_rv\na_ed,a,ed,0.5,1.0\na_es,a,es,,0.0\nb_ed,,ed,0.9,1.0\n"


def test_table_is_read() -> None:
    cases = parse_cases(TABLE)
    assert cases.case_ids == ("a_ed", "a_es", "b_ed")
    np.testing.assert_array_equal(cases.figures["mean_dice"], [0.5, np.nan, 0.9])


def test_case_without_patient_is_a_patient_of_its_own() -> None:
    assert parse_cases(TABLE).patient_ids == ("a", "a", "b_ed")


def test_summary_has_means_over_what_counts_and_numbers_of_misses() -> None:
    assert parse_cases(TABLE).summary() == {"mean_dice": pytest.approx(0.7), "missed_rv": 2.0}


def test_summary_of_nothing_that_counts_is_nan() -> None:
    assert math.isnan(parse_cases("case_id,mean_dice\na,\n").summary()["mean_dice"])


def test_take_orders_cases_as_asked() -> None:
    taken = parse_cases(TABLE).take(["b_ed", "a_ed"])
    assert taken.patient_ids == ("b_ed", "a")
    np.testing.assert_array_equal(taken.figures["mean_dice"], [0.9, 0.5])


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        ("case_id,x,z\nb,,9\na,0.5,9\n", True),
        ("case_id,x\na,0.5000000000001\nb,\n", True),
        ("case_id,x\na,0.5001\nb,\n", False),
        ("case_id,x\na,0.5\n", False),
    ],
    ids=["other order", "rounding", "another value", "fewer cases"],
)
def test_tables_are_equal_in_what_both_have(other: str, equal: bool) -> None:
    assert parse_cases("case_id,x,y\na,0.5,1\nb,,2\n").equals(parse_cases(other)) is equal


def test_pool_keeps_what_all_have() -> None:
    pooled = pool([parse_cases("case_id,x,y\na,1,2\n"), parse_cases("case_id,x\nb,3\n")])
    assert pooled.case_ids == ("a", "b")
    np.testing.assert_array_equal(pooled.figures["x"], [1, 3])
    assert list(pooled.figures) == ["x"]


def test_folds_that_share_a_case_are_refused() -> None:
    table = parse_cases("case_id,x\na,1\n")
    with pytest.raises(InputError, match="folds that are pooled must not share cases"):
        pool([table, table])


@pytest.mark.parametrize("text", ["", "patient_id,x\na,1\n", "case_id,x\n"])
def test_table_without_cases_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="must have a column case_id and at least one case"):
        parse_cases(text)


@pytest.mark.parametrize("text", ["case_id,x\na,much\n", "case_id,x,y\na,1\n"])
def test_damaged_table_is_refused_or_read_as_missing(text: str) -> None:
    if "much" in text:
        with pytest.raises(InputError, match="is damaged"):
            parse_cases(text)
    else:
        assert math.isnan(parse_cases(text).figures["y"][0])


def test_cases_of_a_run_are_read(client: MlflowClient, store: str, new_run) -> None:
    run_id = new_run("one", 0.9, {"a_ed": (0.8, 0.9, 1.0)})
    cases = read_cases(MlflowSource(client, store), read_run(client, store, run_id))
    assert cases.figures["mean_dice"] == pytest.approx([0.9])


def test_run_without_cases_is_refused(client: MlflowClient, store: str, new_run) -> None:
    run_id = new_run("unfinished", minutes=None)
    with pytest.raises(InputError, match=r"'unfinished' .*RUNNING\) has no evaluation/metrics.csv"):
        read_cases(MlflowSource(client, store), read_run(client, store, run_id))


def test_length_is_the_number_of_cases() -> None:
    assert len(Cases(("a", "b"), ("a", "b"), {})) == 2

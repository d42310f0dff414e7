from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pipeline.comparison.cases import Cases
from pipeline.comparison.paired import (
    Difference,
    Pair,
    adjust,
    bootstrap_interval,
    compare_paired,
    holm,
    wilcoxon_p,
)
from pipeline.errors import InputError


def table(**dice: float) -> Cases:
    """A case a patient, named by its keyword."""
    names = tuple(dice)
    return Cases(names, names, {"mean_dice": np.array(list(dice.values()))})


def of(pair: Pair) -> Difference:
    return pair.differences[0]


def test_only_cases_that_both_have_count() -> None:
    pair = compare_paired("A", table(a=0.5, b=0.6, c=0.1), "B", table(b=0.4, d=0.9, a=0.6))
    assert (pair.num_a, pair.num_b, pair.cases_a.case_ids) == (3, 3, ("a", "b"))
    assert of(pair).difference == pytest.approx((-0.1 + 0.2) / 2)
    assert (of(pair).mean_a, of(pair).mean_b) == pytest.approx((0.55, 0.5))


def test_case_that_one_run_does_not_count_is_left_out() -> None:
    pair = compare_paired("A", table(a=0.5, b=math.nan), "B", table(a=0.3, b=0.4))
    assert (of(pair).num_cases, of(pair).difference) == (1, pytest.approx(0.2))


def test_runs_without_a_common_case_are_refused() -> None:
    with pytest.raises(InputError, match=r"'A' \(1 cases\) and 'B' \(1 cases\) have no case in common"):
        compare_paired("A", table(a=0.5), "B", table(b=0.5))


def test_equal_differences_have_an_interval_of_one_point() -> None:
    patients = np.array(["a", "b", "c"])
    assert bootstrap_interval(np.full(3, 0.25), patients) == pytest.approx((0.25, 0.25))


def test_interval_of_one_patient_is_unknown() -> None:
    low, high = bootstrap_interval(np.array([0.1, 0.2]), np.array(["a", "a"]))
    assert math.isnan(low) and math.isnan(high)


def test_interval_agrees_with_scipy() -> None:
    differences = np.random.default_rng(1).normal(0.01, 0.03, 40)
    expected = stats.bootstrap((differences,), np.mean, n_resamples=10_000, method="percentile", rng=5)
    found = bootstrap_interval(differences, np.arange(40).astype(str))
    assert found == pytest.approx(tuple(expected.confidence_interval), abs=4e-4)


def test_interval_depends_on_the_seed_alone() -> None:
    differences, patients = np.arange(40.0), np.arange(40).astype(str)
    assert bootstrap_interval(differences, patients, 3) == bootstrap_interval(differences, patients, 3)
    assert bootstrap_interval(differences, patients, 3) != bootstrap_interval(differences, patients, 4)


def test_phases_of_a_patient_are_drawn_together() -> None:
    # two patients: a draw has the mean of one, of the other, or of both
    low, high = bootstrap_interval(np.array([0.0, 0.0, 1.0, 1.0]), np.array(["a", "a", "b", "b"]))
    assert (low, high) == (0.0, 1.0)


def test_wilcoxon_takes_one_value_a_patient() -> None:
    differences = np.array([0.1, 0.3, 0.4, -0.1, 0.5, 0.7])
    expected = stats.wilcoxon([0.2, 0.15, 0.6]).pvalue
    assert wilcoxon_p(differences, np.array(list("aabbcc"))) == expected == 0.25


def test_wilcoxon_of_equal_runs_is_one() -> None:
    assert wilcoxon_p(np.zeros(3), np.array(list("abc"))) == 1.0


def test_wilcoxon_of_nothing_is_unknown() -> None:
    assert math.isnan(wilcoxon_p(np.array([]), np.array([], dtype=str)))


def test_holm_by_hand() -> None:
    # sorted 0.01 * 3, 0.02 * 2, 0.03 * 1, never below the one before
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])


def test_holm_passes_over_nan_and_stays_below_one() -> None:
    adjusted = holm([math.nan, 0.9, 0.8])
    assert math.isnan(adjusted[0])
    assert adjusted[1:] == [1.0, 1.0]


def test_adjust_counts_the_pairs() -> None:
    a = table(a=0.5, b=0.6, c=0.7)
    pairs = adjust([compare_paired("A", a, "B", table(a=0.4, b=0.5, c=0.5))] * 2)
    assert [of(pair).p_adjusted for pair in pairs] == [0.5, 0.5]  # 0.25 each


@pytest.mark.parametrize(
    ("measure", "low", "high", "verdict"),
    [
        ("mean_dice", 0.01, 0.02, "A"),
        ("mean_dice", -0.02, -0.01, "B"),
        ("mean_dice", -0.01, 0.01, ""),
        ("mean_hd95_mm", 0.5, 1.0, "B"),
        ("mean_hd95_mm", -1.0, -0.5, "A"),
        ("mean_dice", math.nan, math.nan, ""),
    ],
)
def test_verdict(measure: str, low: float, high: float, verdict: str) -> None:
    assert Difference(measure, 2, 2, 0, 0, 0, low, high, 0.5).verdict == verdict

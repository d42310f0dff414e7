from __future__ import annotations

import math

import pytest

from pipeline.metrics.agreement import Agreement, bland_altman

# differences 1, -1, 2, 0: mean 0.5, squared deviations 0.25, 2.25, 2.25, 0.25, sum 5
REFERENCE = [10.0, 20.0, 30.0, 40.0]
MEASURED = [11.0, 19.0, 32.0, 40.0]
SD = math.sqrt(5 / 3)
T_OF_3 = 3.18245  # 97.5th percentile of Student's t with 3 degrees of freedom
RESULT = bland_altman(MEASURED, REFERENCE)


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        ("n", 4),
        ("missing", 0),
        ("bias", 0.5),
        ("sd", SD),
        ("lower_limit", 0.5 - 1.96 * SD),
        ("upper_limit", 0.5 + 1.96 * SD),
        ("mean_absolute_error", 1.0),
    ],
)
def test_figures_worked_out_by_hand(figure: str, expected: float) -> None:
    assert getattr(RESULT, figure) == pytest.approx(expected)


def test_interval_of_the_bias() -> None:
    margin = T_OF_3 * SD / 2  # the root of 4 pairs
    assert RESULT.bias_ci == pytest.approx((0.5 - margin, 0.5 + margin), rel=1e-5)


@pytest.mark.parametrize(("limit", "sign"), [("lower_limit", -1), ("upper_limit", 1)])
def test_interval_of_a_limit(limit: str, sign: int) -> None:
    margin = T_OF_3 * SD * math.sqrt(1 / 4 + 1.96**2 / 6)
    value = 0.5 + sign * 1.96 * SD
    assert getattr(RESULT, f"{limit}_ci") == pytest.approx((value - margin, value + margin), rel=1e-5)


def test_correlation() -> None:
    # deviations of reference -15, -5, 5, 15, of measured -14.5, -6.5, 6.5, 14.5: products sum to 500
    assert RESULT.pearson_r == pytest.approx(500 / math.sqrt(500 * 505))


def test_interval_of_the_correlation_by_fisher() -> None:
    z = math.atanh(500 / math.sqrt(500 * 505))
    assert RESULT.pearson_r_ci == pytest.approx((math.tanh(z - 1.959964), math.tanh(z + 1.959964)), rel=1e-5)


def test_concordance_counts_the_bias() -> None:
    # covariance 125, variances 125 and 126.25, all over n; squared bias 0.25
    assert RESULT.concordance == pytest.approx(250 / (125 + 126.25 + 0.25))


def test_perfect_agreement() -> None:
    result = bland_altman(REFERENCE, REFERENCE)
    assert (result.bias, result.sd, result.pearson_r, result.concordance) == pytest.approx((0.0, 0.0, 1.0, 1.0))


def test_constant_bias_leaves_the_correlation_alone() -> None:
    # variances and covariance 125, squared bias 100: 250 / 350
    result = bland_altman([value + 10 for value in REFERENCE], REFERENCE)
    assert (result.pearson_r, result.concordance) == pytest.approx((1.0, 250 / 350))


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_pairs_without_a_value_are_counted(nothing: float | None) -> None:
    result = bland_altman([*MEASURED, nothing, 50.0], [*REFERENCE, 60.0, nothing])
    assert (result.n, result.missing, result.bias) == (4, 2, 0.5)


@pytest.mark.parametrize("measured", [[], [None, None]])
def test_no_pair(measured: list[float | None]) -> None:
    assert bland_altman(measured, measured) == Agreement(0, len(measured))


def test_one_pair_has_a_difference_and_no_spread() -> None:
    assert bland_altman([12.0], [10.0]) == Agreement(1, 0, bias=2.0, mean_absolute_error=2.0)


def test_two_pairs_have_no_correlation() -> None:
    result = bland_altman([1.0, 3.0], [1.0, 2.0])
    assert (result.sd, result.pearson_r, result.concordance) == (pytest.approx(math.sqrt(0.5)), None, None)


def test_three_pairs_have_no_interval_of_the_correlation() -> None:
    result = bland_altman([1.0, 3.0, 4.0], [1.0, 2.0, 3.0])
    assert (result.pearson_r is None, result.pearson_r_ci) == (False, None)


def test_equal_reference_values_have_no_correlation() -> None:
    result = bland_altman(MEASURED, [0.1] * 4)
    assert (result.pearson_r, result.pearson_r_ci, result.concordance) == (None, None, pytest.approx(0.0))


def test_equal_values_on_both_sides() -> None:
    assert bland_altman([5.0] * 4, [5.0] * 4).concordance is None


def test_values_must_be_pairs() -> None:
    with pytest.raises(ValueError, match="measured and reference must be pairs, got 2 and 1 values"):
        bland_altman([1.0, 2.0], [1.0])

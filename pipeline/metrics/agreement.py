"""How well measured numbers agree with reference numbers, over a cohort."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
LIMITS_Z = 1.96
"""Limits of agreement hold 95 % of normally distributed differences: bias plus and minus 1.96 sd."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Agreement:
    """Agreement of paired measurements; None where there are too few pairs, or all of one side are equal.

    Attributes:
        n: pairs in which both sides have a value.
        missing: pairs in which a side has none: counted, not part of any other figure.
        bias: mean of measured minus reference.
        bias_ci: its 95 % confidence interval.
        sd: sample standard deviation of the differences.
        lower_limit: lower limit of agreement, bias minus 1.96 sd.
        lower_limit_ci: its 95 % confidence interval.
        upper_limit: upper limit of agreement, bias plus 1.96 sd.
        upper_limit_ci: its 95 % confidence interval.
        mean_absolute_error: mean of the differences' sizes.
        pearson_r: correlation, -1 to 1; from 3 pairs on.
        pearson_r_ci: its 95 % confidence interval by Fisher's z transform; from 4 pairs on.
        concordance: Lin's concordance correlation coefficient, -1 to 1: also lowered by a bias; from 3 pairs on.
    """

    n: int
    missing: int
    bias: float | None = None
    bias_ci: Interval | None = None
    sd: float | None = None
    lower_limit: float | None = None
    lower_limit_ci: Interval | None = None
    upper_limit: float | None = None
    upper_limit_ci: Interval | None = None
    mean_absolute_error: float | None = None
    pearson_r: float | None = None
    pearson_r_ci: Interval | None = None
    concordance: float | None = None


def bland_altman(measured: Sequence[float | None], reference: Sequence[float | None]) -> Agreement:
    """Compare measurements with reference values, pair by pair.

    Args:
        measured: a value a case; None or NaN where there is none.
        reference: a value a case, in the same order.

    Returns:
        The figures of ``Agreement``.

    Raises:
        ValueError: the two have different lengths.

    Source:
        Bland and Altman, Measuring agreement in method comparison studies, Stat Methods Med Res 8:135, 1999: limits of
        agreement, and their confidence intervals by the variance sd² (1/n + 1.96²/(2(n - 1))) and Student's t.
        Fisher's z: `scipy.stats`. Lin, A concordance correlation coefficient to evaluate reproducibility, Biometrics
        45:255, 1989, with variances over n as there.
    """
    if len(measured) != len(reference):
        raise ValueError(f"measured and reference must be pairs, got {len(measured)} and {len(reference)} values.")
    pairs = np.array([measured, reference], dtype=np.float64)  # None becomes NaN
    pairs = pairs[:, ~np.isnan(pairs).any(axis=0)]
    n, missing = pairs.shape[1], len(measured) - pairs.shape[1]
    if n == 0:
        return Agreement(n, missing)
    differences = pairs[0] - pairs[1]
    bias, error = float(differences.mean()), float(np.abs(differences).mean())
    if n == 1:
        return Agreement(n, missing, bias=bias, mean_absolute_error=error)
    sd = float(differences.std(ddof=1))
    lower, upper = bias - LIMITS_Z * sd, bias + LIMITS_Z * sd
    limit_error = sd * math.sqrt(1 / n + LIMITS_Z**2 / (2 * (n - 1)))
    correlation, correlation_ci = _correlation(pairs)
    return Agreement(
        n,
        missing,
        bias=bias,
        bias_ci=_interval(bias, sd / math.sqrt(n), n),
        sd=sd,
        lower_limit=lower,
        lower_limit_ci=_interval(lower, limit_error, n),
        upper_limit=upper,
        upper_limit_ci=_interval(upper, limit_error, n),
        mean_absolute_error=error,
        pearson_r=correlation,
        pearson_r_ci=correlation_ci,
        concordance=_concordance(pairs),
    )


def _interval(value: float, standard_error: float, n: int) -> Interval:
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * standard_error
    return value - margin, value + margin


def _correlation(pairs: NDArray[np.float64]) -> tuple[float | None, Interval | None]:
    n = pairs.shape[1]
    if n < 3 or not np.ptp(pairs, axis=1).all():
        return None, None
    result = stats.pearsonr(pairs[0], pairs[1])
    correlation = float(result.statistic)
    if n < 4:
        return correlation, None
    low, high = result.confidence_interval(CONFIDENCE)
    return correlation, (float(low), float(high))


def _concordance(pairs: NDArray[np.float64]) -> float | None:
    if pairs.shape[1] < 3:
        return None
    covariance = np.cov(pairs, ddof=0)
    spread = covariance[0, 0] + covariance[1, 1] + (pairs[0].mean() - pairs[1].mean()) ** 2
    return float(2 * covariance[0, 1] / spread) if spread > 0 else None

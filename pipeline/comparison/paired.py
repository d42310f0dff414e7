"""Whether two runs differ on the cases that both were evaluated on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.comparison.cases import Cases
from pipeline.errors import InputError

MEASURES: tuple[str, ...] = ("mean_dice", "dice_rv", "dice_myo", "dice_lv", "mean_hd95_mm")
RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """How one figure differs between two runs, A - B, case by case.

    Attributes:
        measure: name of the figure.
        num_cases: cases that count in both.
        num_patients: patients that these cases are of.
        mean_a: mean over these cases in run A.
        mean_b: the same in run B.
        difference: mean of A - B.
        low: lower end of the bootstrap interval of ``difference``; NaN for fewer than two patients.
        high: its upper end.
        p: Wilcoxon's signed-rank test, two-sided, on the mean difference of each patient.
        p_adjusted: ``p`` after Holm, over all pairs that are compared at once.
    """

    measure: str
    num_cases: int
    num_patients: int
    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    p: float
    p_adjusted: float = math.nan

    @property
    def higher_is_better(self) -> bool:
        """Of distances the lower is better."""
        return "_mm" not in self.measure

    @property
    def verdict(self) -> str:
        """``"A"`` or ``"B"``, whichever is better by an interval that excludes 0; else empty."""
        if self.low > 0:
            return "A" if self.higher_is_better else "B"
        if self.high < 0:
            return "B" if self.higher_is_better else "A"
        return ""


@dataclass(frozen=True)
class Pair:
    """Two runs compared.

    Attributes:
        name_a: label of run A.
        name_b: label of run B.
        num_a: cases of A.
        num_b: cases of B.
        cases_a: A's figures of the cases that both have.
        cases_b: B's figures of these, in the same order.
        differences: a measure each.
    """

    name_a: str
    name_b: str
    num_a: int
    num_b: int
    cases_a: Cases
    cases_b: Cases
    differences: tuple[Difference, ...]


def compare_paired(name_a: str, a: Cases, name_b: str, b: Cases, seed: int = 0) -> Pair:
    """Compare two runs on the cases that both have.

    The two phases of a patient are no independent cases: the bootstrap draws patients, with all of their cases, and
    Wilcoxon's test takes one value a patient. A figure that is NaN in either run leaves the case out of that measure.

    Args:
        name_a: label of run A.
        a: its cases.
        name_b: label of run B.
        b: its cases.
        seed: of the bootstrap.

    Returns:
        The difference of each of ``MEASURES`` that both have.

    Raises:
        InputError: they have no case in common.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, percentile interval; Field and Welsh,
        Bootstrapping clustered data, J. R. Stat. Soc. B 2007; Wilcoxon, Biometrics Bulletin 1945.
    """
    known = set(b.case_ids)
    shared = sorted(case for case in a.case_ids if case in known)
    if not shared:
        raise InputError(
            f"'{name_a}' ({len(a)} cases) and '{name_b}' ({len(b)} cases) have no case in common: they were validated "
            "on different folds. Evaluate both on the same cases, or compare whole cross-validations."
        )
    mine, others = a.take(shared), b.take(shared)
    differences = [
        _difference(measure, mine, others, seed)
        for measure in MEASURES
        if measure in mine.figures and measure in others.figures
    ]
    return Pair(name_a, name_b, len(a), len(b), mine, others, tuple(differences))


def _difference(measure: str, a: Cases, b: Cases, seed: int) -> Difference:
    counts = ~np.isnan(a.figures[measure]) & ~np.isnan(b.figures[measure])
    of_a, of_b = a.figures[measure][counts], b.figures[measure][counts]
    patients = np.array(a.patient_ids)[counts]
    low, high = bootstrap_interval(of_a - of_b, patients, seed)
    return Difference(
        measure,
        num_cases=int(counts.sum()),
        num_patients=len(set(patients.tolist())),
        mean_a=_mean(of_a),
        mean_b=_mean(of_b),
        difference=_mean(of_a - of_b),
        low=low,
        high=high,
        p=wilcoxon_p(of_a - of_b, patients),
    )


def bootstrap_interval(
    differences: NDArray[np.float64], patients: NDArray[np.str_], seed: int = 0, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return the percentile interval of the mean difference, over ``RESAMPLES`` draws of patients.

    Args:
        differences: a value a case, ``(n,)``.
        patients: patient of each case, ``(n,)``.
        seed: the same seed gives the same interval.
        confidence: share of the draws inside, from 0 to 1.

    Returns:
        Lower and upper end; NaN for fewer than two patients.
    """
    sums, sizes = _by_patient(differences, patients)
    if len(sums) < 2:
        return math.nan, math.nan
    number = len(sums)
    draws = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=RESAMPLES)
    # einsum adds in a fixed order; the matrix product of a BLAS depends on the machine's threads
    means = np.einsum("rp,p->r", draws, sums) / np.einsum("rp,p->r", draws, sizes)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def wilcoxon_p(differences: NDArray[np.float64], patients: NDArray[np.str_]) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test on the mean difference of each patient.

    Returns:
        1.0 where no patient differs, NaN where there is none.
    """
    sums, sizes = _by_patient(differences, patients)
    if not len(sums):
        return math.nan
    if not np.any(sums):
        return 1.0
    from scipy.stats import wilcoxon  # takes as long as all of the rest

    return float(wilcoxon(sums / sizes).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of tests; NaN stays NaN and counts for none.

    Source:
        Holm, Scand. J. Statist. 1979.
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted, largest = [math.nan] * len(p_values), 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        adjusted[place] = largest
    return adjusted


def adjust(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs with ``p_adjusted``: each measure for the number of pairs."""
    by_measure = {
        measure: holm([_p_of(pair, measure) for pair in pairs])
        for measure in {difference.measure for pair in pairs for difference in pair.differences}
    }
    return [
        replace(
            pair,
            differences=tuple(
                replace(difference, p_adjusted=by_measure[difference.measure][place]) for difference in pair.differences
            ),
        )
        for place, pair in enumerate(pairs)
    ]


def _p_of(pair: Pair, measure: str) -> float:
    return next((difference.p for difference in pair.differences if difference.measure == measure), math.nan)


def _by_patient(
    differences: NDArray[np.float64], patients: NDArray[np.str_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum of the differences and number of cases of each patient, in the order of their names."""
    names, places = np.unique(patients, return_inverse=True)
    sizes = np.bincount(places, minlength=len(names)).astype(np.float64)
    sums = np.bincount(places, weights=differences, minlength=len(names)).astype(np.float64)
    return sums, sizes


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else math.nan

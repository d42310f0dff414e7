from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from pipeline.labels import Structure
from pipeline.metrics.function import cardiac_function
from pipeline.reporting.bland_altman import AgreementPairs, agreement_pairs, bland_altman_chart, signed

NAN = float("nan")


def test_lines_are_bias_and_limits() -> None:
    chart = bland_altman_chart(AgreementPairs("EF", "%", ["a", "b"], [62.0, 50.0], [60.0, 50.0]))
    assert chart is not None
    # differences 2 and 0: mean 1, sd 1.414, limits 1 +- 2.772
    assert [line.text for line in chart.lines] == [
        "+1.96 sd +3.8",
        "bias +1.0",
        "",
        "\N{MINUS SIGN}1.96 sd \N{MINUS SIGN}1.8",
    ]
    assert chart.description.startswith("Bland-Altman plot of EF, 2 studies: bias +1.0 %, +1.96 sd +3.8 %, ")


def test_points_are_difference_over_mean() -> None:
    chart = bland_altman_chart(AgreementPairs("EF", "%", ["a", "b"], [62.0, 50.0], [60.0, 50.0]))
    assert chart is not None
    assert [(point.x, point.y) for point in chart.points] == [
        (chart.x.place(61.0), chart.y.place(2.0)),
        (chart.x.place(50.0), chart.y.place(0.0)),
    ]


def test_texts_of_close_lines_do_not_overlap() -> None:
    chart = bland_altman_chart(AgreementPairs("EF", "%", ["a", "b"], [60.0, 50.0], [60.0, 50.0]))
    assert chart is not None
    places = sorted(line.text_y for line in chart.lines if line.text)
    assert min(b - a for a, b in pairwise(places)) >= 14.0


def test_pairs_with_an_unknown_value_do_not_count() -> None:
    chart = bland_altman_chart(AgreementPairs("EF", "%", ["a", "b", "c"], [62.0, None, NAN], [60.0, 50.0, 50.0]))
    assert chart is not None
    assert [point.name for point in chart.points] == ["a: measured 62.0, reference 60.0 %"]
    assert [line.key for line in chart.lines] == ["bias", "zero"]


def test_no_pair_makes_no_chart() -> None:
    assert bland_altman_chart(AgreementPairs("EF", "%", ["a"], [None], [60.0])) is None


def test_sign_is_always_shown() -> None:
    assert (signed(1.25), signed(-0.46)) == ("+1.2", "\N{MINUS SIGN}0.5")


def test_pairs_that_do_not_match_are_refused() -> None:
    with pytest.raises(
        ValueError, match="EF: each pair needs a name and both values, got 1 names, 2 measured and 1 ref"
    ):
        AgreementPairs("EF", "%", ["a"], [60.0, 50.0], [58.0])


def test_functions_are_paired_by_number() -> None:
    mask = np.zeros((4, 4, 2, 1), dtype=np.uint8)
    mask[0] = Structure.LV
    larger = mask.copy()
    larger[1] = Structure.LV
    ours, theirs = (cardiac_function(one, np.diag([10.0, 10.0, 10.0, 1.0])) for one in (larger, mask))
    pairs = {pairs.name: pairs for pairs in agreement_pairs(["a"], [ours], [theirs])}
    assert list(pairs) == ["LV EF", "LV EDV", "LV ESV", "LV mass", "RV EF"]
    assert pairs["LV EDV"].known() == [("a", pytest.approx(16.0), pytest.approx(8.0))]
    assert pairs["LV EF"].known() == []

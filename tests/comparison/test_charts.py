from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest

from pipeline.comparison.charts import line_chart, nice_ticks, scatter_chart

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        (0.61, 0.93, (0.6, 0.7, 0.8, 0.9, 1.0)),
        (5, 20, (5, 10, 15, 20)),
        (-3, 4, (-4, -2, 0, 2, 4)),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert nice_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize("value", [0.0, 0.9, -3.0])
def test_ticks_of_one_value_have_it_inside(value: float) -> None:
    ticks = nice_ticks(value, value)
    assert ticks[0] < value < ticks[-1]


def circles(chart: str) -> list[ET.Element]:
    return ET.fromstring(chart).findall(f".//{SVG}circle")


def test_line_chart_has_a_mark_a_point_that_is_finite() -> None:
    chart = line_chart({"a": [(1, 0.5), (2, math.nan), (3, 0.7)], "b": [(1, 0.6)]}, "epoch", "Dice")
    assert [mark.find(f"{SVG}title").text for mark in circles(chart)] == [
        "a: 1, 0.5000",
        "a: 3, 0.7000",
        "b: 1, 0.6000",
    ]


def test_points_lie_where_their_values_are() -> None:
    marks = circles(line_chart({"a": [(0, 0.0), (5, 0.5), (10, 1.0)]}, "x", "y"))
    x, y = ([float(mark.get(key)) for mark in marks] for key in ("cx", "cy"))
    assert x[1] == pytest.approx((x[0] + x[2]) / 2, abs=0.1) and x[0] < x[2]
    assert y[1] == pytest.approx((y[0] + y[2]) / 2, abs=0.1) and y[0] > y[2]


def test_line_without_points_is_in_the_legend_alone() -> None:
    chart = line_chart({"nothing": []}, "x", "y")
    assert circles(chart) == [] and "nothing" in chart


def test_too_many_lines_are_refused() -> None:
    with pytest.raises(ValueError, match="series must be at most 8, got 9"):
        line_chart({str(number): [] for number in range(9)}, "x", "y")


def test_scatter_names_cases_only_where_asked() -> None:
    assert "patient001" not in scatter_chart([(0.5, 0.6)], "A", "B")
    assert "patient001 0.500, 0.600" in scatter_chart([(0.5, 0.6)], "A", "B", ["patient001"])


def test_scatter_of_equal_runs_lies_on_the_diagonal() -> None:
    chart = scatter_chart([(0.5, 0.5), (0.8, 0.8)], "A", "B")
    root = ET.fromstring(chart)
    line = next(item for item in root.findall(f".//{SVG}line") if item.get("stroke-dasharray"))
    x1, y1, x2, y2 = (float(line.get(key)) for key in ("x1", "y1", "x2", "y2"))
    for mark in circles(chart):
        along = (float(mark.get("cx")) - x1) / (x2 - x1)
        assert float(mark.get("cy")) == pytest.approx(y1 + along * (y2 - y1), abs=0.2)


def test_points_that_are_not_finite_are_left_out() -> None:
    assert len(circles(scatter_chart([(0.5, math.nan), (0.5, 0.5)], "A", "B"))) == 1


def test_text_is_escaped() -> None:
    chart = line_chart({"<b>&": [(0, 1)]}, "x", "y")
    assert "<b>" not in chart and "&lt;b&gt;&amp;" in chart

"""Where the RV lies, and the turns that follow, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.inference.heart_direction import quarter_turns, rv_direction_degrees


def _heart(rv: tuple[int, int], lv: tuple[int, int] = (20, 20)) -> np.ndarray:
    heart = np.zeros((2, 41, 41), dtype=np.int64)
    heart[:, rv[0] - 2 : rv[0] + 3, rv[1] - 2 : rv[1] + 3] = 1
    heart[:, lv[0] - 3 : lv[0] + 4, lv[1] - 3 : lv[1] + 4] = 2
    heart[:, lv[0] - 1 : lv[0] + 2, lv[1] - 1 : lv[1] + 2] = 3
    return heart


@pytest.mark.parametrize(
    ("rv", "expected"), [((30, 20), 0.0), ((20, 30), 90.0), ((10, 20), 180.0), ((20, 10), -90.0), ((30, 30), 45.0)]
)
def test_direction_runs_from_lv_to_rv(rv: tuple[int, int], expected: float) -> None:
    assert rv_direction_degrees(_heart(rv)) == pytest.approx(expected)


def test_direction_is_unknown_without_a_ventricle() -> None:
    heart = _heart((30, 20))
    assert rv_direction_degrees(np.where(heart == 1, 0, heart)) is None
    assert rv_direction_degrees(np.where(heart > 1, 0, heart)) is None


def test_direction_is_unknown_where_a_ventricle_is_a_stray_pixel() -> None:
    heart = _heart((30, 20))
    heart[heart == 1] = 0
    heart[0, 30, 20] = 1  # one of 99 pixels: below 2 %
    assert rv_direction_degrees(heart) is None


def test_direction_is_unknown_where_both_have_one_center() -> None:
    ring = np.zeros((1, 9, 9), dtype=np.int64)
    ring[:, 2:7, 2:7] = 1
    ring[:, 3:6, 3:6] = 3
    assert rv_direction_degrees(ring) is None


@pytest.mark.parametrize(
    ("direction", "turns"),
    [
        (170.0, 0),  # usual
        (110.0, 0),  # 60 degrees off: known
        (-120.0, 0),  # 70 degrees off on the other side
        (80.0, 1),  # 90 degrees short: one turn adds 90
        (-10.0, 2),  # opposite
        (-100.0, 3),  # 90 degrees beyond: three turns take 90 away
    ],
)
def test_turns_bring_the_rv_to_its_usual_direction(direction: float, turns: int) -> None:
    assert quarter_turns(direction, usual_degrees=170.0, tolerance_degrees=75.0) == turns


@pytest.mark.parametrize("rv", [(30, 20), (20, 30), (10, 20), (20, 10), (28, 26)])
def test_turned_heart_lies_within_45_degrees_of_the_usual(rv: tuple[int, int]) -> None:
    heart = _heart(rv)
    direction = rv_direction_degrees(heart)
    assert direction is not None
    turned = torch.rot90(torch.from_numpy(heart), quarter_turns(direction, 170.0, 50.0), (1, 2)).numpy()
    found = rv_direction_degrees(turned)
    assert found is not None and abs((found - 170.0 + 180) % 360 - 180) <= 50

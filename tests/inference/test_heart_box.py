from __future__ import annotations

import numpy as np

from pipeline.inference.heart_box import WindowRule, heart_box

RULE = WindowRule(smallest=(32, 24), margin=4, divisible_by=8)


def test_no_voxel_has_no_box() -> None:
    assert heart_box(np.zeros((2, 5, 5), dtype=bool)) is None


def test_false_voxels_of_one_slice_do_not_move_the_box() -> None:
    heart = np.zeros((5, 60, 60), dtype=bool)
    heart[:, 20:30, 22:30] = True
    heart[0, 50:58, 50:58] = True
    assert heart_box(heart) == (slice(20, 30), slice(22, 30))


def test_window_is_centered_and_inside() -> None:
    # 40 + 2 * 4 = 48 around 60; 8 + 2 * 4 is less than 24, which would begin at -6
    assert RULE.around([slice(40, 80), slice(2, 10)], (100, 50)) == (slice(36, 84), slice(0, 24))


def test_window_grows_on_the_side_that_cuts() -> None:
    # x: 40 to 80, cut above: the margin 4 off below, a quarter of 40 on above gives 44 to 90, and 54 rounded up is 56
    window = (slice(40, 80), slice(10, 34))
    assert RULE.grown(window, [False, True, False, False], (200, 50)) == (slice(39, 95), slice(10, 34))

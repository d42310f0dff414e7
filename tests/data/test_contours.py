"""Contours: text to points, points to pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.contours import fill_contour, read_contour
from pipeline.errors import InputError


def filled(points: list[tuple[float, float]], shape: tuple[int, int] = (6, 5)) -> list[tuple[int, int]]:
    """Return the pixels (x, y) of the filled contour."""
    return [(int(x), int(y)) for x, y in np.argwhere(fill_contour(np.array(points), shape))]


def test_pixels_whose_center_is_inside_are_filled() -> None:
    assert filled([(0.5, 1.5), (3.5, 1.5), (3.5, 3.5), (0.5, 3.5)]) == [(1, 2), (1, 3), (2, 2), (2, 3), (3, 2), (3, 3)]


def test_slanted_edge_cuts_between_pixel_centers() -> None:
    # inside where y < x - 0.3 and x < 3.5: the edge crosses row 0 at 0.3, row 1 at 1.3, row 2 at 2.3, row 3 at 3.3
    triangle = [(-0.2, -0.5), (3.5, -0.5), (3.5, 3.2)]
    assert filled(triangle) == [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]


def test_border_belongs_to_its_left_and_upper_side_alone() -> None:
    assert filled([(1, 1), (3, 1), (3, 3), (1, 3)]) == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_neighbors_that_share_a_border_share_no_pixel() -> None:
    left = fill_contour(np.array([(0, 0), (2, 0), (2, 4), (0, 4)]), (6, 5))
    right = fill_contour(np.array([(2, 0), (5, 0), (5, 4), (2, 4)]), (6, 5))
    assert not (left & right).any()
    assert (left | right).sum() == 5 * 4


@pytest.mark.parametrize("turn", [1, -1])
def test_sense_of_rotation_does_not_matter(turn: int) -> None:
    square = [(0.5, 0.5), (2.5, 0.5), (2.5, 2.5), (0.5, 2.5)][::turn]
    assert filled(square) == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_what_lies_outside_the_image_is_cut_off() -> None:
    assert filled([(-9, -9), (0.5, -9), (0.5, 0.5), (-9, 0.5)]) == [(0, 0)]


def test_contour_between_pixel_centers_fills_none() -> None:
    assert filled([(1.2, 1.2), (1.8, 1.2), (1.8, 1.8)]) == []


def test_area_of_a_circle() -> None:
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = np.stack([50.3 + 30 * np.cos(angle), 48.9 + 30 * np.sin(angle)], axis=1)
    assert fill_contour(circle, (100, 100)).sum() == pytest.approx(np.pi * 30**2, rel=0.005)


def test_points_are_read_as_x_and_y(tmp_path: Path) -> None:
    path = tmp_path / "contour.txt"
    path.write_bytes(b"118.50 98.50\r\n119.00 98.00\r\n119.50 97.00\r\n\r\n")
    assert read_contour(path).tolist() == [[118.5, 98.5], [119.0, 98.0], [119.5, 97.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2\n3 x\n5 6\n", "cannot be read"),
        ("1 2\n3\n5 6\n", r"two finite numbers a line, x and y, got \[3.0\]"),
        ("1 2\n3 nan\n5 6\n", r"two finite numbers a line, x and y, got \[3.0, nan\]"),
        ("1 2\n3 4\n", "at least 3 points, got 2"),
        ("", "at least 3 points, got 0"),
    ],
)
def test_text_that_is_no_contour_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "contour.txt").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_contour(tmp_path / "contour.txt")


def test_file_of_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "contour.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        read_contour(tmp_path / "contour.txt")

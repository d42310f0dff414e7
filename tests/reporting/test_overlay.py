from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib._pylab_helpers import Gcf
from matplotlib.image import imread

from pipeline.labels import Structure
from pipeline.reporting import overlay
from pipeline.reporting.overlay import as_displayed, save_overlay

SPACING_MM = (2.0, 4.0, 10.0)
# voxel axes along the patient's right-to-left, anterior-to-posterior and feet-to-head, turned in-plane
COS, SIN = 0.8, 0.6
TURNED_LPS = np.array([[-2.0 * COS, 4.0 * SIN, 0, 0], [-2.0 * SIN, -4.0 * COS, 0, 0], [0, 0, 10.0, 0], [0, 0, 0, 1.0]])


def heart(slices: tuple[int, ...] = (1, 2)) -> np.ndarray:
    volume = np.zeros((60, 40, 20), dtype=np.uint8)
    for index in slices:
        volume[20:30, 15:21, index] = Structure.RV
        volume[30:40, 15:21, index] = Structure.MYO
        volume[33:37, 17:19, index] = Structure.LV
    return volume


def image() -> np.ndarray:
    return np.random.default_rng(0).normal(100.0, 20.0, (60, 40, 20)).astype(np.float32)


def test_picture_is_written_and_readable(tmp_path: Path) -> None:
    path = save_overlay(tmp_path / "new" / "a.png", image(), heart(), heart(), spacing_mm=SPACING_MM, title="a")
    assert imread(path).shape[2] == 4


def test_only_the_picture_is_left(tmp_path: Path) -> None:
    save_overlay(tmp_path / "a.png", image(), heart(), spacing_mm=SPACING_MM)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_pyplot_keeps_no_state(tmp_path: Path) -> None:
    before = Gcf.get_num_fig_managers()
    save_overlay(tmp_path / "a.png", image(), heart(), spacing_mm=SPACING_MM)
    assert Gcf.get_num_fig_managers() == before


@pytest.mark.parametrize("structure", [Structure.RV, Structure.MYO, Structure.LV])
def test_each_structure_has_its_color(tmp_path: Path, structure: Structure) -> None:
    only = np.where(heart() == structure, structure, 0)
    pixels = imread(save_overlay(tmp_path / "a.png", image(), only, spacing_mm=SPACING_MM))[..., :3]
    color = [int(overlay.STRUCTURE_COLORS[structure][start : start + 2], 16) / 255 for start in (1, 3, 5)]
    near = (np.abs(pixels - color) < 0.02).all(axis=2)
    montage = near[: int(near.shape[0] * 0.8)]  # without the legend, which shows all colors
    assert montage.sum() > 100


def test_first_axis_runs_right_and_second_down(tmp_path: Path) -> None:
    bright = np.zeros((60, 40, 20), dtype=np.float32)
    bright[:30, :18] = 1.0
    gray = imread(save_overlay(tmp_path / "a.png", bright, heart((1,)), spacing_mm=SPACING_MM))[..., :3].mean(axis=2)
    panel = gray[int(gray.shape[0] * 0.25) : int(gray.shape[0] * 0.8)]
    height, width = panel.shape
    assert panel[: height // 4, : width // 2].max() > 0.9 > panel[-height // 4 :, width // 2 :].max()


def test_empty_masks_show_the_whole_slices(tmp_path: Path) -> None:
    nothing = np.zeros((60, 40, 20), dtype=np.uint8)
    assert save_overlay(tmp_path / "a.png", image(), nothing, nothing, spacing_mm=SPACING_MM).is_file()


def test_plane_is_drawn(tmp_path: Path) -> None:
    plane = heart()[..., 1]
    assert save_overlay(tmp_path / "a.png", image()[..., 1], plane, plane, spacing_mm=SPACING_MM[:2]).is_file()


def test_view_has_the_slices_that_hold_something() -> None:
    assert overlay._choose_view(heart((1, 2, 7)), SPACING_MM).slices == (1, 2, 7)


def test_view_spreads_many_slices() -> None:
    slices = overlay._choose_view(heart(tuple(range(20))), SPACING_MM).slices
    assert (len(slices), slices[0], slices[-1]) == (12, 0, 19)


def test_view_leaves_a_margin() -> None:
    # 20 mm: 10 voxels of 2 mm, 5 of 4 mm
    assert overlay._choose_view(heart(), SPACING_MM).box == (slice(10, 50), slice(10, 26))


def test_view_stays_inside_the_image() -> None:
    corner = np.zeros((60, 40, 20), dtype=np.uint8)
    corner[0, 39, 3] = Structure.LV
    assert overlay._choose_view(corner, SPACING_MM).box == (slice(0, 11), slice(34, 40))


def test_pixels_keep_their_proportions() -> None:
    # 40 voxels of 2 mm by 16 of 4 mm
    assert overlay._choose_view(heart(), SPACING_MM).height_over_width == pytest.approx(64 / 80)


def test_viewers_order_stays() -> None:
    shown, spacing = as_displayed(TURNED_LPS, heart())
    assert np.array_equal(shown[0], heart()) and spacing == pytest.approx([2.0, 4.0, 10.0])


@pytest.mark.parametrize("axis", [0, 1])
def test_axis_that_runs_against_the_viewer_is_flipped(axis: int) -> None:
    affine = TURNED_LPS.copy()
    affine[:, axis] *= -1
    assert np.array_equal(as_displayed(affine, heart())[0][0], np.flip(heart(), axis))


def test_slices_come_last() -> None:
    shown, spacing = as_displayed(TURNED_LPS[:, [2, 0, 1, 3]], heart().transpose(2, 0, 1))
    assert np.array_equal(shown[0], heart()) and spacing[2] == pytest.approx(10.0)


def test_plane_has_two_spacings() -> None:
    shown, spacing = as_displayed(TURNED_LPS, heart()[..., 1])
    assert np.array_equal(shown[0], heart()[..., 1]) and len(spacing) == 2


def test_shapes_must_agree(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="image, pred and label must have the same shape, got"):
        save_overlay(tmp_path / "a.png", image(), heart(), heart()[..., :5], spacing_mm=SPACING_MM)


def test_spacing_must_fit(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"with a spacing an axis, got \(60, 40, 20\) and 2 spacings"):
        save_overlay(tmp_path / "a.png", image(), heart(), spacing_mm=SPACING_MM[:2])

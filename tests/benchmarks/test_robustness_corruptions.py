from __future__ import annotations

import numpy as np
import pytest
from robustness_corruptions import (
    CORRUPTIONS,
    Case,
    coarser,
    eight_bit,
    every_second_slice,
    gamma,
    invert,
    mirror,
    quarter_turns,
    rician,
    sampled_at,
    shift_slices,
    spikes,
    tight,
    tone_curve,
    turn,
    wide,
)
from robustness_corruptions import bias_field as bias

# oblique: 1.5 x 2 x 8 mm, turned by a right angle about x
AFFINE = np.array([[-1.5, 0, 0, 30], [0, 0, -8, -20], [0, 2, 0, 10], [0, 0, 0, 1.0]])


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def case(shape: tuple[int, int, int] = (8, 6, 4), voxel: tuple[int, int, int] = (2, 1, 3)) -> Case:
    """A dark volume with one bright voxel, which is LV."""
    image, label = np.ones(shape), np.zeros(shape, np.uint8)
    image[voxel], label[voxel] = 9.0, 3
    return Case(image, label, AFFINE)


def place_mm(changed: Case) -> np.ndarray:
    """Position of the LV's center."""
    return changed.affine[:3, :3] @ np.argwhere(changed.label == 3).mean(axis=0) + changed.affine[:3, 3]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_change_keeps_image_and_label_on_one_grid(name: str) -> None:
    changed = CORRUPTIONS[name](case((24, 20, 4), (10, 9, 2)), rng())
    assert changed.image.shape == changed.label.shape
    assert set(np.unique(changed.label)) <= {0, 3}
    assert np.isfinite(changed.image).all()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_change_leaves_its_input_alone(name: str) -> None:
    original = case((24, 20, 4), (10, 9, 2))
    CORRUPTIONS[name](original, rng())
    assert np.array_equal(original.image, case((24, 20, 4), (10, 9, 2)).image)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_same_seed_same_change(name: str) -> None:
    one, other = (CORRUPTIONS[name](case((24, 20, 4), (10, 9, 2)), rng()) for _ in range(2))
    assert np.array_equal(one.image, other.image)


# --- orientation ----------------------------------------------------------------------------------------------------


def test_quarter_turn_moves_the_voxel_and_its_shape() -> None:
    changed = quarter_turns(case(), rng(), count=1)
    assert changed.image.shape == (6, 8, 4)
    # (2, 1) of 8 x 6: the first index becomes last - 1 = 4, the second 2
    assert changed.label[4, 2, 3] == 3
    assert changed.image[4, 2, 3] == 9


@pytest.mark.parametrize("count", [1, 2, 3])
def test_quarter_turn_keeps_the_place_in_mm(count: int) -> None:
    assert place_mm(quarter_turns(case(), rng(), count=count)) == pytest.approx(place_mm(case()))


def test_four_quarter_turns_are_none() -> None:
    changed = quarter_turns(case(), rng(), count=4)
    assert np.array_equal(changed.image, case().image)
    assert np.allclose(changed.affine, AFFINE)


def test_quarter_turn_without_its_header_keeps_the_directions_and_the_spacing() -> None:
    changed = quarter_turns(case(), rng(), count=1, keep_affine=True)
    assert changed.spacing_mm.tolist() == [2.0, 1.5, 8.0]
    assert np.allclose(changed.affine[:3, :3] / changed.spacing_mm, AFFINE[:3, :3] / [1.5, 2, 8])


def test_mirror_keeps_the_place_in_mm_only_with_its_header() -> None:
    assert place_mm(mirror(case(), rng())) == pytest.approx(place_mm(case()))
    changed = mirror(case(), rng(), keep_affine=True)
    assert changed.label[5, 1, 3] == 3
    assert np.array_equal(changed.affine, AFFINE)


def test_turn_is_about_the_center_in_mm() -> None:
    # 9 x 9 pixels of 1.5 x 2 mm, center (4, 4): 4 pixels (6 mm) along x turned by 90 degrees are 3 pixels along y
    changed = turn(case((9, 9, 1), (8, 4, 0)), rng(), degrees=-90)
    assert changed.label[4, 7, 0] == 3
    assert changed.image[4, 7, 0] == pytest.approx(9)


def test_turn_by_nothing_changes_nothing() -> None:
    assert np.allclose(turn(case(), rng(), degrees=0).image, case().image)


# --- sampling -------------------------------------------------------------------------------------------------------


def test_coarser_grid_has_the_spacing_and_the_place() -> None:
    original = Case(np.ones((8, 6, 2)), np.full((8, 6, 2), 3, np.uint8), AFFINE)
    changed = coarser(original, rng(), factor=2)
    assert changed.image.shape == (4, 3, 2)
    assert changed.spacing_mm.tolist() == [3.0, 4.0, 8.0]
    assert place_mm(changed) == pytest.approx(place_mm(original))


@pytest.mark.parametrize(("pixel_mm", "shape"), [(0.75, (16, 12, 2)), (3.0, (4, 3, 2))])
def test_pixels_of_a_size_stay_in_their_place(pixel_mm: float, shape: tuple[int, ...]) -> None:
    original = Case(np.ones((8, 6, 2)), np.full((8, 6, 2), 3, np.uint8), AFFINE)
    changed = sampled_at(original, rng(), pixel_mm=pixel_mm)
    assert changed.image.shape == shape
    assert changed.spacing_mm[0] == pixel_mm
    assert place_mm(changed) == pytest.approx(place_mm(original))


def test_every_second_slice_keeps_the_first() -> None:
    changed = every_second_slice(case(voxel=(2, 1, 2)), rng())
    assert changed.image.shape == (8, 6, 2)
    assert place_mm(changed) == pytest.approx(place_mm(case(voxel=(2, 1, 2))))


def test_slices_move_with_their_label() -> None:
    original = case((40, 40, 3), (20, 20, 1))
    changed = shift_slices(original, rng(), sd_mm=6)
    moved = np.argwhere(changed.label == 3)[0]
    assert moved.tolist() != [20, 20, 1]
    assert changed.image[tuple(moved)] == 9


def test_tight_view_has_the_margin() -> None:
    # 10 mm are 7 pixels of 1.5 mm and 5 of 2 mm
    changed = tight(case((40, 40, 3), (20, 20, 1)), rng(), margin_mm=10)
    assert changed.image.shape == (15, 11, 3)
    assert place_mm(changed) == pytest.approx(place_mm(case((40, 40, 3), (20, 20, 1))))


def test_tight_view_ends_at_the_border() -> None:
    assert tight(case((40, 40, 3), (0, 0, 1)), rng(), margin_mm=10).image.shape == (8, 6, 3)


def test_wide_view_adds_air() -> None:
    changed = wide(case((10, 20, 2), (2, 1, 1)), rng(), factor=1.6)
    assert changed.image.shape == (16, 32, 2)
    assert changed.image[0].max() == 0
    assert place_mm(changed) == pytest.approx(place_mm(case((10, 20, 2), (2, 1, 1))))


# --- intensity ------------------------------------------------------------------------------------------------------


def ramp() -> Case:
    """Intensities 0, 25, 50, 75, 100."""
    return Case(np.array([0.0, 25, 50, 75, 100]).reshape(5, 1, 1), np.zeros((5, 1, 1), np.uint8), AFFINE)


def test_gamma_bends_between_the_extremes() -> None:
    assert gamma(ramp(), rng(), exponent=2).image.ravel().tolist() == [0, 6.25, 25, 56.25, 100]


def test_inverted_has_bright_and_dark_swapped() -> None:
    assert invert(ramp(), rng()).image.ravel().tolist() == [100, 75, 50, 25, 0]


def test_rising_tone_curve_keeps_the_order_and_any_does_not() -> None:
    image = np.linspace(0, 1, 500).reshape(500, 1, 1)
    original = Case(image, np.zeros(image.shape, np.uint8), AFFINE)
    rising, free = (tone_curve(original, rng(), monotone=monotone).image.ravel() for monotone in (True, False))
    assert (np.diff(rising) >= 0).all()
    assert (np.diff(free) < 0).any() and (np.diff(free) > 0).any()


def test_bias_field_stays_within_its_strength() -> None:
    original = Case(np.ones((20, 20, 2)), np.zeros((20, 20, 2), np.uint8), AFFINE)
    field = bias(original, rng(), strength=0.5).image
    assert field.min() == pytest.approx(np.exp(-0.5))
    assert field.max() == pytest.approx(np.exp(0.5))
    assert np.array_equal(field[..., 0], field[..., 1])


def test_rician_noise_of_a_dark_image_has_the_mean_of_rayleigh() -> None:
    image = np.zeros((100, 100, 2))
    image[:10] = 100.0  # the 99th percentile
    noisy = rician(Case(image, np.zeros(image.shape, np.uint8), AFFINE), rng(), level=0.1).image
    assert noisy[10:].mean() == pytest.approx(10 * np.sqrt(np.pi / 2), rel=0.02)


def test_spikes_are_a_share_of_the_voxels() -> None:
    original = Case(np.ones((100, 100, 1)), np.zeros((100, 100, 1), np.uint8), AFFINE)
    assert (spikes(original, rng(), share=1e-3, factor=10).image == 10).sum() == 10


def test_eight_bits_are_whole_numbers_to_255() -> None:
    assert eight_bit(ramp(), rng()).image.ravel().tolist() == [0, 64, 128, 191, 255]

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from pipeline.labels import Structure
from pipeline.metrics.function import (
    body_surface_area_m2,
    cardiac_function,
    choose_phases,
    foreground_box,
    slice_distance_mm,
    slice_thicknesses_mm,
    ventricular_volumes,
    volumes_ml,
)

# short axis: oblique, voxels of 1.5 x 2 x 8 mm^3 = 0.024 mL
TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
AFFINE = np.eye(4)
AFFINE[:3, :3] = TURN @ np.diag([1.5, 2.0, 8.0])
AFFINE[:3, 3] = [-30.0, 12.0, 5.0]
VOXEL_ML = 0.024
NUM_SLICES = 5


def cine(*lv: int, rv: int = 10, myo: int = 20) -> np.ndarray:
    """Return a mask with so many voxels of LV, RV and myocardium on each of the slices 1 to 3, a phase each."""
    mask = np.zeros((200, 4, NUM_SLICES, len(lv)), dtype=np.uint8)
    for phase, size in enumerate(lv):
        mask[:size, 0, 1:4, phase] = Structure.LV
        mask[:rv, 1, 1:4, phase] = Structure.RV
        mask[:myo, 2, 1:4, phase] = Structure.MYO
    return mask


def cosine_beat(phases: int = 20) -> np.ndarray:
    """Return LV volumes from 150 mL at phase 0 to 50 mL halfway through the beat."""
    return 100.0 + 50.0 * np.cos(2 * np.pi * np.arange(phases) / phases)


BEAT = cardiac_function(cine(80, 60, 40, 70), AFFINE)


@pytest.mark.parametrize(
    ("name", "expected"),
    # 80 voxels on 3 slices of 0.024 mL are 5.76 mL, 40 are 2.88 mL; muscle of 20: 1.44 mL x 1.05 g/mL
    [
        ("lv_edv_ml", 5.76),
        ("lv_esv_ml", 2.88),
        ("lv_sv_ml", 2.88),
        ("lv_ef_percent", 50.0),
        ("lv_mass_g", 1.512),
        ("rv_edv_ml", 0.72),
        ("rv_esv_ml", 0.72),
        ("rv_sv_ml", 0.0),
        ("rv_ef_percent", 0.0),
    ],
)
def test_numbers_worked_out_by_hand(name: str, expected: float) -> None:
    assert getattr(BEAT, name) == pytest.approx(expected)


def test_phases_of_largest_and_smallest_lv() -> None:
    assert (BEAT.ed_phase, BEAT.es_phase) == (0, 2)


def test_curve_has_a_volume_a_phase() -> None:
    assert BEAT.lv_ml == pytest.approx((5.76, 4.32, 2.88, 5.04))


def test_right_ventricle_belongs_to_the_phases_of_the_left() -> None:
    mask = cine(80, 40, 60)
    mask[:50, 1, 1:4, 2] = Structure.RV  # the RV alone is largest in phase 2
    assert cardiac_function(mask, AFFINE).rv_edv_ml == pytest.approx(0.72)


def test_given_phases_are_taken() -> None:
    function = cardiac_function(cine(80, 60, 40), AFFINE, ed_phase=1, es_phase=2)
    assert (function.lv_edv_ml, function.lv_esv_ml) == pytest.approx((4.32, 2.88))


def test_given_ed_leaves_es_to_the_curve() -> None:
    function = cardiac_function(cine(80, 60, 40), AFFINE, ed_phase=1)
    assert (function.ed_phase, function.es_phase) == (1, 2)


def test_indices_are_by_body_surface_area() -> None:
    # sqrt(180 x 80 / 3600) = 2 m^2
    function = cardiac_function(cine(80, 40), AFFINE, height_cm=180.0, weight_kg=80.0)
    indices = (function.lv_edv_index_ml_m2, function.lv_mass_index_g_m2, function.rv_edv_index_ml_m2)
    assert indices == pytest.approx((2.88, 0.756, 0.36))


def test_cardiac_output_is_stroke_volume_times_heart_rate() -> None:
    # 2.88 mL x 100 a minute = 0.288 L a minute, over 2 m^2
    function = cardiac_function(cine(80, 40), AFFINE, heart_rate_bpm=100, height_cm=180.0, weight_kg=80.0)
    output = (function.lv_cardiac_output_l_min, function.lv_cardiac_index_l_min_m2, function.rv_cardiac_output_l_min)
    assert output == pytest.approx((0.288, 0.144, 0.0))


@pytest.mark.parametrize("name", ["lv_cardiac_output_l_min", "lv_edv_index_ml_m2", "body_surface_area_m2"])
def test_without_heart_rate_and_body_size_nothing_follows_from_them(name: str) -> None:
    assert getattr(BEAT, name) is None


@pytest.mark.parametrize("heart_rate", [0.0, 19.0, 251.0, math.nan])
def test_implausible_heart_rate_counts_as_unknown(heart_rate: float) -> None:
    assert cardiac_function(cine(80, 40), AFFINE, heart_rate_bpm=heart_rate).heart_rate_bpm is None


def test_one_phase_has_no_systole() -> None:
    function = cardiac_function(cine(80), AFFINE, heart_rate_bpm=60, height_cm=180.0, weight_kg=80.0)
    assert function.lv_edv_index_ml_m2 == pytest.approx(2.88)
    systole = (function.lv_esv_ml, function.lv_ef_percent, function.rv_sv_ml, function.lv_cardiac_output_l_min)
    assert systole == (None, None, None, None)


def test_without_lv_nothing_but_the_zero_is_known() -> None:
    function = cardiac_function(cine(0, 0), AFFINE)
    assert (function.lv_edv_ml, function.lv_esv_ml, function.lv_ef_percent) == (0.0, None, None)


def test_without_lv_the_rv_has_no_systole() -> None:
    function = cardiac_function(cine(0, 0), AFFINE)
    assert (function.rv_edv_ml, function.rv_esv_ml) == (pytest.approx(0.72), None)


def test_empty_mask_has_volumes_of_zero() -> None:
    function = cardiac_function(np.zeros((4, 4, 3, 2), dtype=np.uint8), AFFINE)
    assert (function.lv_ml, function.rv_ml, function.lv_mass_g) == ((0.0, 0.0), (0.0, 0.0), 0.0)


def test_rv_missed_at_systole_has_no_ejection_fraction() -> None:
    mask = cine(80, 40)
    mask[..., 1][mask[..., 1] == Structure.RV] = 0
    function = cardiac_function(mask, AFFINE)
    assert (function.rv_edv_ml, function.rv_esv_ml, function.rv_ef_percent) == (pytest.approx(0.72), None, None)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_may_lie_along_any_axis(axis: int) -> None:
    order = [0, 1]
    order.insert(axis, 2)
    affine = AFFINE.copy()
    affine[:, :3] = AFFINE[:, order]
    mask = np.transpose(cine(80, 40), (*order, 3))
    positions = [0.0, 8.0, 16.0, 24.0, 40.0]  # the last gap is twice as wide: slice 3 counts 1.5 times
    function = cardiac_function(mask, affine, slice_positions_mm=positions)
    assert function.lv_edv_ml == pytest.approx(80 * VOXEL_ML * 3.5)


def test_even_positions_change_nothing() -> None:
    positions = [40.0, 32.0, 24.0, 16.0, 8.0]
    assert cardiac_function(cine(80, 40), AFFINE, slice_positions_mm=positions).lv_edv_ml == pytest.approx(5.76)


def test_positions_win_over_the_distance_of_the_affine() -> None:
    positions = [0.0, 10.0, 20.0, 30.0, 40.0]
    assert cardiac_function(cine(80, 40), AFFINE, slice_positions_mm=positions).lv_edv_ml == pytest.approx(7.2)


def test_single_slice_is_as_thick_as_the_affine_says() -> None:
    function = cardiac_function(cine(80, 40)[:, :, 1:2], AFFINE, slice_positions_mm=[12.0])
    assert function.lv_edv_ml == pytest.approx(80 * VOXEL_ML)


def test_sheared_grid_counts_the_distance_along_the_normal() -> None:
    sheared = AFFINE.copy()
    sheared[:3, 2] += 6.0 * TURN[:, 0]  # each slice 6 mm aside, a step of 10 mm
    assert slice_distance_mm(sheared) == pytest.approx(8.0)
    positions = [0.0, 8.0, 16.0, 24.0, 32.0]
    volume = volumes_ml(cine(80), sheared, positions)[Structure.LV]
    assert volume == pytest.approx([5.76]) == volumes_ml(cine(80), sheared)[Structure.LV]


def test_thickness_is_half_the_distance_to_both_neighbors() -> None:
    assert slice_thicknesses_mm([0.0, 8.0, 18.0, 38.0]) == pytest.approx([8.0, 9.0, 15.0, 20.0])


def test_thickness_does_not_depend_on_the_direction() -> None:
    assert slice_thicknesses_mm([38.0, 18.0, 8.0, 0.0]) == pytest.approx([20.0, 15.0, 9.0, 8.0])


def test_smooth_beat_has_its_extremes() -> None:
    assert choose_phases(cosine_beat()) == (0, 10)


@pytest.mark.parametrize("phase", [4, 16])
@pytest.mark.parametrize("volume", [1.0, 300.0])
def test_single_failed_phase_sets_neither_ed_nor_es(phase: int, volume: float) -> None:
    beat = cosine_beat()
    beat[phase] = volume
    assert choose_phases(beat) == (0, 10)


@pytest.mark.parametrize(("dip", "expected"), [(24.0, 8), (30.0, 10)])
def test_spike_is_a_phase_that_stands_out_by_a_quarter_of_the_range(dip: float, expected: int) -> None:
    beat = np.full(20, 60.0)
    beat[:5] = beat[15:] = 160.0  # the range is 100 mL
    beat[10], beat[8] = 50.0, 60.0 - dip
    assert choose_phases(beat)[1] == expected


def test_phases_without_lv_are_no_systole() -> None:
    beat = cosine_beat()
    beat[3:6] = 0.0
    assert choose_phases(beat) == (0, 10)


def test_few_phases_have_no_spikes() -> None:
    assert choose_phases([150.0, 50.0, 140.0, 145.0]) == (0, 1)


def test_first_of_equal_phases_counts() -> None:
    assert choose_phases([150.0, 150.0, 50.0, 50.0]) == (0, 2)


def test_constant_volume_has_one_phase() -> None:
    assert choose_phases([100.0] * 20) == (0, 0)


def test_volumes_of_a_ventricle() -> None:
    assert ventricular_volumes([150.0, 60.0], 0, 1) == (150.0, 60.0, 90.0, 60.0)


def test_body_surface_area_by_mosteller() -> None:
    assert body_surface_area_m2(180.0, 80.0) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("height", "weight"),
    [(None, 80.0), (180.0, None), (0.0, 80.0), (1.8, 80.0), (180.0, 0.0), (math.nan, 80.0), (80.0, 180.0)],
)
def test_implausible_body_has_no_surface(height: float | None, weight: float | None) -> None:
    assert body_surface_area_m2(height, weight) is None


def test_implausible_height_is_not_passed_on() -> None:
    function = cardiac_function(cine(80, 40), AFFINE, height_cm=1.8, weight_kg=80.0)
    assert (function.height_cm, function.weight_kg) == (None, 80.0)


def test_times_are_kept() -> None:
    assert cardiac_function(cine(80, 40), AFFINE, phase_times_ms=[0, 30.5]).phase_times_ms == (0.0, 30.5)


@pytest.mark.parametrize("order", ["C", "F"])
def test_box_around_the_structures(order: str) -> None:
    mask = np.zeros((6, 7, 8, 3), dtype=np.int16, order=order)
    mask[2:4, 3:6, 1, 1:] = Structure.RV
    assert foreground_box(mask) == (slice(2, 4), slice(3, 6), slice(1, 2), slice(1, 3))


def test_mask_stays_untouched() -> None:
    mask = cine(80, 40)
    cardiac_function(mask, AFFINE)
    assert np.array_equal(mask, cine(80, 40))


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_cine_takes_no_time(order: str) -> None:
    mask = np.zeros((512, 512, 16, 30), dtype=np.uint8, order=order)
    mask[200:300, 200:300, 2:14] = Structure.LV
    start = time.perf_counter()
    cardiac_function(mask, AFFINE)
    assert time.perf_counter() - start < 3.0  # 0.3 s on an idle machine


@pytest.mark.parametrize("shape", [(4, 4, 3), (4, 4, 3, 0), (1, 4, 4, 3, 2)])
def test_shape_of_the_mask(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"mask must have shape \(X, Y, Z, phases\), none of them 0, got"):
        cardiac_function(np.zeros(shape, dtype=np.uint8), AFFINE)


def test_mask_of_probabilities() -> None:
    with pytest.raises(ValueError, match="mask must be an array of integers, got float32; argmax"):
        cardiac_function(np.zeros((4, 4, 3, 2), dtype=np.float32), AFFINE)


@pytest.mark.parametrize(("value", "found"), [(255, "0 to 255"), (-1, "-1 to 0")])
def test_mask_of_other_values(value: int, found: str) -> None:
    mask = np.zeros((4, 4, 3, 2), dtype=np.int16)
    mask[1, 2, 1, 1] = value
    with pytest.raises(ValueError, match=f"mask must hold the project's values 0 to 254, got {found}; map it first"):
        cardiac_function(mask, AFFINE)


def test_further_label_has_a_volume_and_changes_no_other() -> None:
    mask = np.zeros((6, 5, 3, 2), dtype=np.uint8)
    mask[1:3, 1:3, :, 0] = Structure.LV
    mask[4:6, 1, 2, 1] = 5
    volumes = volumes_ml(mask, np.diag([2.0, 2.0, 10.0, 1.0]))  # 0.04 mL a voxel
    assert list(volumes) == [Structure.RV, Structure.MYO, Structure.LV, 5]
    assert volumes[5].tolist() == pytest.approx([0, 0.08])
    assert cardiac_function(mask, np.diag([2.0, 2.0, 10.0, 1.0])).lv_ml == pytest.approx((0.48, 0.0))


@pytest.mark.parametrize(("name", "phase"), [("ed_phase", 2), ("es_phase", -1), ("ed_phase", 0.5)])
def test_phase_must_be_there(name: str, phase: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a phase from 0 to 1, got {phase}"):
        cardiac_function(cine(80, 40), AFFINE, **{name: phase})


def test_times_must_fit_the_phases() -> None:
    with pytest.raises(ValueError, match="phase_times_ms must have one time a phase, got 3 for 2 phases"):
        cardiac_function(cine(80, 40), AFFINE, phase_times_ms=[0.0, 30.0, 60.0])


def test_positions_must_fit_the_slices() -> None:
    with pytest.raises(ValueError, match="slice_positions_mm must have a position a slice, got 2 for 5"):
        cardiac_function(cine(80, 40), AFFINE, slice_positions_mm=[0.0, 8.0])


@pytest.mark.parametrize("positions", [[0.0, 8.0, 8.0], [0.0, 8.0, 4.0]])
def test_positions_must_be_in_order(positions: list[float]) -> None:
    with pytest.raises(ValueError, match="slice_positions_mm must rise or fall from slice to slice, got"):
        slice_thicknesses_mm(positions)


@pytest.mark.parametrize("positions", [[0.0], [0.0, math.nan]])
def test_positions_must_be_numbers(positions: list[float]) -> None:
    with pytest.raises(ValueError, match="slice_positions_mm must be at least two numbers, got"):
        slice_thicknesses_mm(positions)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipeline.labels import Structure
from pipeline.metrics import quality
from pipeline.metrics.function import CardiacFunction, cardiac_function
from pipeline.metrics.quality import QualityFlag, clipped_share, open_share, quality_flags

# short axis: oblique, voxels of 1.5 x 2 x 8 mm^3
TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
SHAPE = (140, 136, 10)


def affine(x: float = 1.5, y: float = 2.0, z: float = 8.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = TURN @ np.diag([x, y, z])
    return matrix


def heart(systole: bool = False, slices: slice = slice(1, 9)) -> np.ndarray:
    """Return one phase: LV of 10 x 10 voxels a slice (6 x 6 at ES) in a square of muscle, RV of 96 (32) beside it."""
    volume = np.zeros(SHAPE, dtype=np.uint8)
    volume[55:63, 62 : (66 if systole else 74), slices] = Structure.RV
    volume[63:77, 61:75, slices] = Structure.MYO
    size = slice(2, -2) if systole else slice(None)
    volume[65:75, 63:73, slices][size, size] = Structure.LV
    return volume


def beat(slices: slice = slice(1, 9)) -> np.ndarray:
    return np.stack([heart(False, slices), heart(True, slices)], axis=-1)


def find(mask: np.ndarray, grid: np.ndarray | None = None, **known: object) -> tuple[QualityFlag, ...]:
    """Return the flags of a mask; ``known`` changes numbers of its function."""
    grid = affine() if grid is None else grid
    function = replace(cardiac_function(mask, grid), **known)  # type: ignore[arg-type]
    return quality_flags(mask, grid, function)


def codes(mask: np.ndarray, grid: np.ndarray | None = None, **known: object) -> list[str]:
    return [flag.code for flag in find(mask, grid, **known)]


def test_good_study_has_no_flag() -> None:
    assert codes(beat()) == []


def test_single_phase_of_a_good_heart_has_no_flag() -> None:
    assert codes(heart()[..., None]) == []


@pytest.mark.parametrize("axis", [0, 1])
def test_slices_may_lie_along_any_axis(axis: int) -> None:
    grid = affine()[:, [2, 0, 1, 3] if axis == 0 else [0, 2, 1, 3]]
    assert codes(np.moveaxis(beat(), 2, axis), grid) == []


def test_empty_mask_lacks_all_structures() -> None:
    assert codes(np.zeros((*SHAPE, 2), dtype=np.uint8)) == ["lv_absent", "myo_absent", "rv_absent"]


@pytest.mark.parametrize("structure", [Structure.RV, Structure.MYO, Structure.LV])
def test_absent_structure(structure: Structure) -> None:
    mask = beat()
    mask[mask == structure] = 0
    assert f"{structure.key}_absent" in codes(mask)


def test_structure_absent_in_a_phase_names_it() -> None:
    mask = np.stack([heart(), heart(), heart(True)], axis=-1)
    mask[..., 1][mask[..., 1] == Structure.RV] = 0
    assert find(mask) == (QualityFlag("rv_absent", "No right ventricle in phase 1.", 1),)


def test_structure_absent_in_all_phases_belongs_to_the_study() -> None:
    mask = beat()
    mask[mask == Structure.RV] = 0
    assert find(mask) == (QualityFlag("rv_absent", "No right ventricle in any phase.", None),)


@pytest.mark.parametrize(("slices", "expected"), [(slice(2, 7), ["lv_short"]), (slice(2, 8), [])])
def test_length_of_the_left_ventricle(slices: slice, expected: list[str]) -> None:
    assert codes(beat(slices)) == expected  # 5 slices of 8 mm are 40 mm, 6 are 48 mm


@pytest.mark.parametrize(("distance", "expected"), [(4.4, True), (4.5, False)])
def test_length_of_the_stack(distance: float, expected: bool) -> None:
    assert ("stack_short" in codes(beat(), affine(z=distance))) is expected  # 10 slices


@pytest.mark.parametrize(("voxels", "expected"), [(16, []), (17, ["lv_in_pieces"])])
def test_island_of_more_than_two_percent(voxels: int, expected: list[str]) -> None:
    # 800 voxels of LV at ED: 16 of 816 are 1.96 %, 17 of 817 are 2.08 %
    mask = beat()
    mask[100 : 100 + voxels, 20, 8, 0] = Structure.LV
    assert codes(mask) == expected


def test_lv_with_a_slice_left_out_is_not_one_piece() -> None:
    mask = beat()
    mask[:, :, 4, 1][mask[:, :, 4, 1] == Structure.LV] = Structure.MYO
    assert [(flag.code, flag.phase) for flag in find(mask)] == [("lv_in_pieces", 1)]


def test_pieces_that_touch_at_a_corner_are_one() -> None:
    mask = beat()
    mask[75:77, 73:75, 1:9, 0] = Structure.LV  # diagonal to the LV's corner voxel
    assert "lv_in_pieces" not in codes(mask)


@pytest.mark.parametrize(("gap", "expected"), [(0, 0.0), (1, 0.025), (10, 0.25)])
def test_share_of_the_border_that_is_open(gap: int, expected: float) -> None:
    # the border of 10 x 10 voxels has 40 faces a slice
    volume = heart()
    volume[75:77, 63 : 63 + gap] = 0
    assert open_share(volume == Structure.LV, volume == Structure.MYO) == pytest.approx(expected)


def test_scar_and_papillary_muscle_open_no_myocardium() -> None:
    mask = beat()
    mask[75:77, 63:73, :, 0][mask[75:77, 63:73, :, 0] == Structure.MYO] = 4
    assert "myo_open" not in codes(mask)
    mask[mask == 4] = 0
    assert "myo_open" in codes(mask)


def test_myocardium_may_be_open_at_base_and_apex() -> None:
    volume = heart()
    for end in (1, 2, 7, 8):  # the outer quarters of 8 slices
        volume[..., end][volume[..., end] == Structure.MYO] = 0
    assert open_share(volume == Structure.LV, volume == Structure.MYO) == 0.0


def test_border_at_the_edge_of_the_image_is_open() -> None:
    lv = np.ones((4, 4, 1), dtype=bool)
    assert open_share(lv, np.zeros_like(lv)) == 1.0


def test_without_lv_nothing_is_open() -> None:
    assert open_share(np.zeros((4, 4, 3), dtype=bool), np.ones((4, 4, 3), dtype=bool)) == 0.0


@pytest.mark.parametrize("phase", [0, 1])
@pytest.mark.parametrize("more", [0, 1])
def test_open_myocardium(phase: int, more: int) -> None:
    faces = {0: 40, 1: 24}[phase]  # around 10 x 10 and 6 x 6 voxels
    gap = int(quality.MAX_OPEN_SHARE * faces) + more
    mask = beat()
    edge = 75 if phase == 0 else 73
    mask[edge : edge + 1, 65 : 65 + gap, :, phase] = 0
    expected = [("myo_open", phase)] if more else []
    assert [(flag.code, flag.phase) for flag in find(mask)] == expected


def curve(step: float) -> tuple[float, ...]:
    """Return a beat of 20 phases and 100 mL that falls by ``step`` mL from phase 4 to 5, and gently elsewhere."""
    slow = (100.0 - step) / 2
    falling = [*np.linspace(150.0, 150.0 - slow, 5), *np.linspace(50.0 + slow, 50.0, 6)]
    rising = np.linspace(50.0, 150.0, 11)[1:-1]
    return tuple(float(volume) for volume in (*falling, *rising))


def with_curve(volumes: Sequence[float]) -> list[str]:
    mask = np.repeat(heart()[..., None], len(volumes), axis=-1)
    return codes(mask, lv_ml=tuple(volumes))


@pytest.mark.parametrize(("step", "expected"), [(42.3, []), (42.5, ["lv_volume_jumps"])])
def test_jump_of_the_volume_curve(step: float, expected: list[str]) -> None:
    # 0.4 of 100 mL, and a slice of 100 voxels of 0.024 mL
    assert with_curve(curve(step)) == expected


def test_jump_from_the_last_phase_to_the_first() -> None:
    volumes = np.roll(curve(60.0), -5)
    mask = np.repeat(heart()[..., None], 20, axis=-1)
    assert [(flag.code, flag.phase) for flag in find(mask, lv_ml=tuple(volumes))] == [("lv_volume_jumps", 0)]


def test_few_phases_may_jump() -> None:
    assert with_curve([150.0, 50.0] * 7) == []


def test_noise_of_a_heart_that_hardly_moves_is_no_jump() -> None:
    assert with_curve([150.0, 145.0] * 10) == []


@pytest.mark.parametrize("ventricle", ["lv", "rv"])
@pytest.mark.parametrize(("ef", "expected"), [(4.9, True), (5.0, False), (90.0, False), (90.1, True), (-3.0, True)])
def test_possible_ejection_fractions(ventricle: str, ef: float, expected: bool) -> None:
    found = codes(beat(), **{f"{ventricle}_ef_percent": ef})
    assert found == ([f"{ventricle}_ef_implausible"] if expected else [])


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("more", [-1.0, 1.0])
def test_stroke_volumes_are_about_equal(swap: bool, more: float) -> None:
    volumes = [100.0, 100.0 * (1 - quality.MAX_STROKE_VOLUME_SHARE) - more]
    left, right = reversed(volumes) if swap else volumes
    expected = ["stroke_volumes_differ"] if more > 0 else []
    assert codes(beat(), lv_sv_ml=left, rv_sv_ml=right) == expected


@pytest.mark.parametrize(("shift", "expected"), [(-54, []), (-55, ["mask_at_edge"]), (63, ["mask_at_edge"])])
def test_mask_at_the_edge_of_the_image(shift: int, expected: list[str]) -> None:
    assert codes(np.roll(beat(), shift, axis=0)) == expected


def test_mask_on_the_last_slice_is_at_no_edge() -> None:
    assert codes(beat(slice(0, 10))) == []


@pytest.mark.parametrize(("spacing", "expected"), [(0.49, True), (0.5, False), (2.5, False), (2.51, True)])
def test_pixels_of_the_training(spacing: float, expected: bool) -> None:
    assert codes(beat(), affine(x=spacing)) == (["spacing_unlike_training"] if expected else [])


@pytest.mark.parametrize(("distance", "expected"), [(13.0, []), (13.1, ["slice_distance_unlike_training"])])
def test_slice_distance_of_the_training(distance: float, expected: list[str]) -> None:
    assert codes(beat(), affine(z=distance)) == expected


def test_thin_slices_are_unlike_the_training() -> None:
    assert "slice_distance_unlike_training" in codes(beat(), affine(z=3.9))


@pytest.mark.parametrize(("columns", "expected"), [(99, ["matrix_unlike_training"]), (100, [])])
def test_matrix_of_the_training(columns: int, expected: list[str]) -> None:
    assert codes(beat()[:columns]) == expected


def scan() -> np.ndarray:
    return np.random.default_rng(0).gamma(4.0, 50.0, (*SHAPE, 2))


def image_codes(image: np.ndarray) -> list[tuple[str, int | None]]:
    function: CardiacFunction = cardiac_function(beat(), affine())
    return [(flag.code, flag.phase) for flag in quality_flags(beat(), affine(), function, image=image)]


def test_good_image_has_no_flag() -> None:
    assert image_codes(scan()) == []


def test_image_without_contrast() -> None:
    image = scan()
    image[:, :, 3, 1] = 7.0
    assert image_codes(image) == [("image_constant", 1)]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_image_of_other_than_numbers(value: float) -> None:
    image = scan()
    image[3, 4, 5, 1] = value
    assert image_codes(image) == [("image_not_finite", None)]


@pytest.mark.parametrize(("percentile", "expected"), [(98.1, []), (97.9, [("image_clipped", 0)])])
def test_image_with_its_bright_parts_cut_off(percentile: float, expected: list[tuple[str, int]]) -> None:
    image = scan()
    image[..., 0] = np.minimum(image[..., 0], np.percentile(image[..., 0], percentile))
    assert image_codes(image) == expected


def test_background_does_not_count_as_image() -> None:
    assert clipped_share(np.array([0.0] * 90 + [1.0, 2.0, 3.0, 3.0])) == pytest.approx(0.5)


def test_constant_image_is_not_clipped() -> None:
    assert clipped_share(np.ones(5)) == 0.0


def test_function_must_be_of_the_mask() -> None:
    function = cardiac_function(beat(), affine())
    with pytest.raises(ValueError, match=r"mask must have shape \(X, Y, Z, phases\) with the function's 2 phases"):
        quality_flags(heart()[..., None], affine(), function)


def test_image_must_be_of_the_mask() -> None:
    function = cardiac_function(beat(), affine())
    with pytest.raises(ValueError, match="image must have the mask's shape"):
        quality_flags(beat(), affine(), function, image=scan()[..., :1])


@pytest.mark.realdata
def test_few_studies_drawn_by_experts_are_flagged(real_data_dir: Path) -> None:
    flagged = []
    for folder in sorted((real_data_dir / "acdc" / "training").glob("patient*")):
        labels = [nib.load(path) for path in sorted(folder.glob("*_gt.nii.gz"))]
        mask = np.stack([np.asarray(label.dataobj).astype(np.uint8) for label in labels], axis=-1)
        zooms = [float(zoom) for zoom in labels[0].header.get_zooms()[:3]]
        function = cardiac_function(mask, affine(*zooms), ed_phase=0, es_phase=1)
        flagged += [folder.name] * bool(quality_flags(mask, affine(*zooms), function))
    assert len(flagged) <= 3

from __future__ import annotations

import numpy as np
import pytest

from pipeline.labels import FOREGROUND, Structure
from pipeline.metrics.case import mean_of_counted, measure_case, with_all_labels

SPACING_MM = (1.5, 2.0, 10.0)
SHAPE = (20, 16, 6)
DIAGONAL_MM = (30.0**2 + 32.0**2 + 60.0**2) ** 0.5


def heart() -> np.ndarray:
    volume = np.zeros(SHAPE, dtype=np.uint8)
    volume[2:6, 4:10, 1:5] = Structure.RV
    volume[6:16, 2:12, 1:5] = Structure.MYO
    volume[8:14, 4:10, 1:5] = Structure.LV
    return volume


def without(structure: Structure) -> np.ndarray:
    volume = heart()
    volume[volume == structure] = 0
    return volume


def test_perfect_prediction() -> None:
    row = measure_case(heart(), heart(), SPACING_MM)
    means = [row[f"mean_{name}"] for name in ("dice", "iou", "hd95_mm", "assd_mm")]
    assert [row["accuracy"], *means] == [1.0, 1.0, 1.0, 0.0, 0.0]


def test_keys_are_those_of_tables_and_logs() -> None:
    measures = ("dice", "iou", "hd95_mm", "assd_mm", "missed", "false_alarm", "volume_ml", "label_volume_ml")
    per_structure = {f"{measure}_{structure.key}" for measure in measures for structure in FOREGROUND}
    means = {"mean_dice", "mean_iou", "mean_hd95_mm", "mean_assd_mm", "accuracy"}
    assert set(measure_case(heart(), heart(), SPACING_MM)) == per_structure | means


def test_distances_are_left_out_on_request() -> None:
    row = measure_case(heart(), heart(), SPACING_MM, surface=False)
    assert [key for key in row if "hd95" in key or "assd" in key] == []


def test_volume_of_prediction_in_ml() -> None:
    # 6 x 6 x 4 voxels of 1.5 x 2 x 10 mm^3
    assert measure_case(heart(), without(Structure.LV), SPACING_MM)["volume_ml_lv"] == pytest.approx(4.32)


def test_volume_of_label_in_ml() -> None:
    assert measure_case(without(Structure.RV), heart(), SPACING_MM)["label_volume_ml_rv"] == pytest.approx(2.88)


def test_plane_has_no_volume() -> None:
    assert np.isnan(measure_case(heart()[..., 2], heart()[..., 2], SPACING_MM[:2])["volume_ml_lv"])


def test_plane_is_measured_in_its_plane() -> None:
    shifted = np.roll(heart()[..., 2], 1, axis=1)
    assert measure_case(shifted, heart()[..., 2], SPACING_MM[:2])["hd95_mm_lv"] == pytest.approx(2.0)


@pytest.mark.parametrize("measure", ["dice", "iou", "hd95_mm", "assd_mm"])
def test_absent_structure_is_nan(measure: str) -> None:
    assert np.isnan(measure_case(without(Structure.RV), without(Structure.RV), SPACING_MM)[f"{measure}_rv"])


@pytest.mark.parametrize("measure", ["dice", "hd95_mm"])
def test_absent_structure_does_not_enter_the_mean(measure: str) -> None:
    row = measure_case(np.roll(without(Structure.RV), 1, axis=0), without(Structure.RV), SPACING_MM)
    assert row[f"mean_{measure}"] == pytest.approx((row[f"{measure}_myo"] + row[f"{measure}_lv"]) / 2)


@pytest.mark.parametrize("flag", ["missed", "false_alarm"])
def test_absent_structure_is_no_error(flag: str) -> None:
    assert measure_case(without(Structure.RV), without(Structure.RV), SPACING_MM)[f"{flag}_rv"] == 0.0


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("dice", 0.0),
        ("iou", 0.0),
        ("hd95_mm", DIAGONAL_MM),
        ("assd_mm", DIAGONAL_MM),
        ("missed", 1.0),
        ("false_alarm", 0.0),
    ],
)
def test_missed_structure(measure: str, expected: float) -> None:
    assert measure_case(without(Structure.RV), heart(), SPACING_MM)[f"{measure}_rv"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("dice", 0.0),
        ("iou", 0.0),
        ("hd95_mm", DIAGONAL_MM),
        ("assd_mm", DIAGONAL_MM),
        ("missed", 0.0),
        ("false_alarm", 1.0),
    ],
)
def test_invented_structure(measure: str, expected: float) -> None:
    assert measure_case(heart(), without(Structure.RV), SPACING_MM)[f"{measure}_rv"] == pytest.approx(expected)


def test_missing_a_structure_never_improves_the_mean_distance() -> None:
    poor = heart()
    poor[poor == Structure.RV] = 0
    poor[19, 15, 5] = Structure.RV  # a single voxel, as far away as it can be
    missed = measure_case(without(Structure.RV), heart(), SPACING_MM)
    assert missed["mean_hd95_mm"] > measure_case(poor, heart(), SPACING_MM)["mean_hd95_mm"]


def test_mean_is_nan_where_nothing_counts() -> None:
    nothing = np.zeros(SHAPE, dtype=np.uint8)
    assert np.isnan(measure_case(nothing, nothing, SPACING_MM)["mean_dice"])


def test_inputs_stay_untouched() -> None:
    pred, label = without(Structure.RV), heart()
    measure_case(pred, label, SPACING_MM)
    assert np.array_equal(label, heart()) and np.array_equal(pred, without(Structure.RV))


@pytest.mark.parametrize(("values", "expected"), [([1.0, np.nan, 2.0], 1.5), ([np.nan], np.nan), ([], np.nan)])
def test_mean_of_counted(values: list[float], expected: float) -> None:
    assert mean_of_counted(values) == pytest.approx(expected, nan_ok=True)


def test_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have shape \(X, Y, Z\) or \(X, Y\), got \(1, 20, 16, 6\)"):
        measure_case(heart()[None], heart()[None], SPACING_MM)


def test_spacing_must_fit_the_axes() -> None:
    with pytest.raises(ValueError, match=r"one value an axis, got 2 for shape \(20, 16, 6\)"):
        measure_case(heart(), heart(), (1.5, 2.0))


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_spacing_must_be_positive(bad: float) -> None:
    with pytest.raises(ValueError, match="spacing_mm must be positive numbers, got"):
        measure_case(heart(), heart(), (1.5, bad, 10.0))


def with_scar(voxels: int) -> np.ndarray:
    volume = heart()
    volume[6, 2 : 2 + voxels, 1] = 4
    return volume


def test_further_label_is_measured_like_a_structure() -> None:
    row = measure_case(with_scar(2), with_scar(6), SPACING_MM)
    assert row["dice_label_4"] == pytest.approx(2 * 2 / (2 + 6))
    assert row["volume_ml_label_4"] == pytest.approx(2 * 0.03)  # 1.5 x 2 x 10 mm^3 a voxel
    assert row["mean_dice"] == pytest.approx((row["dice_rv"] + row["dice_myo"] + row["dice_lv"] + 0.5) / 4)


def test_value_that_no_label_has_is_refused() -> None:
    volume = heart().astype(np.int16)
    volume[0, 0, 0] = 300
    with pytest.raises(ValueError, match="label must hold the project's values 0 to 254, got 0 to 300"):
        measure_case(heart(), volume, SPACING_MM)


def test_cases_without_a_further_label_get_its_columns() -> None:
    rows = with_all_labels(
        [measure_case(heart(), heart(), SPACING_MM), measure_case(heart(), with_scar(1), SPACING_MM)]
    )
    assert rows[0].keys() == rows[1].keys()
    assert np.isnan(rows[0]["dice_label_4"]) and rows[1]["dice_label_4"] == 0.0
    assert [row["missed_label_4"] for row in rows] == [0.0, 1.0]
    assert [row["label_volume_ml_label_4"] for row in rows] == [0.0, pytest.approx(0.03)]

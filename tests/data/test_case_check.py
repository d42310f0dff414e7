from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.case_check import check_case, inspect_case
from pipeline.errors import InputError
from pipeline.labels import LABEL_MAPS, resolve_label_map

SHAPE = (10, 9, 3)
SPACING_MM = (1.4, 1.6, 9.0)


def affine(spacing_mm: tuple[float, float, float] = SPACING_MM, angle: float = 30.0, shift: float = 0.0) -> np.ndarray:
    """Affine turned about the x axis by ``angle`` degrees, moved along x by ``shift`` mm."""
    matrix, turn = np.eye(4), np.deg2rad(angle)
    about_x = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    matrix[:3, :3] = about_x @ np.diag(spacing_mm)
    matrix[0, 3] = shift
    return matrix


def ramp() -> np.ndarray:
    return np.arange(270, dtype=np.float32).reshape(SHAPE)


def heart() -> np.ndarray:
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[1:3, 3:7], label[3:7, 3:7], label[4:6, 4:6] = 1, 2, 3
    return label


def found(item: dict, label_map="acdc") -> list[tuple[str, str, str]]:
    return [
        (problem.severity, Path(problem.file).name.split(".")[0], problem.message)
        for problem in check_case(item, label_map)
    ]


def test_sound_case_has_no_problems(write_case) -> None:
    assert check_case(write_case(), "acdc") == []


def test_item_is_left_untouched(write_case) -> None:
    item = write_case()
    before = copy.deepcopy(item)
    check_case(item, "acdc")
    assert item == before


def test_row_of_the_table(write_case) -> None:
    """Voxels of 1.4 x 1.6 x 9 mm hold 0.02016 mL; 3 slices of 8, 12 and 4 voxels."""
    row = inspect_case(write_case(image=ramp()), LABEL_MAPS["acdc"]).row
    assert (row["size_x"], row["size_y"], row["size_z"]) == SHAPE
    assert [row[f"spacing_{axis}_mm"] for axis in "xyz"] == pytest.approx(SPACING_MM, abs=1e-5)
    assert [row[key] for key in ("min", "median", "max")] == [0.0, 134.5, 269.0]
    assert [row[key] for key in ("p1", "p99")] == pytest.approx([2.69, 266.31], abs=1e-4)
    volumes_ml = [row[key] for key in ("rv_ml", "myo_ml", "lv_ml")]
    assert volumes_ml == pytest.approx([24 * 0.02016, 36 * 0.02016, 12 * 0.02016], rel=1e-5)


def test_unknown_label_map_is_refused(write_case) -> None:
    with pytest.raises(InputError, match="got 'acd'"):
        check_case(write_case(), "acd")


def test_unlabelled_case_is_checked_without_label(write_case) -> None:
    item = write_case()
    del item["label"]
    assert check_case(item, "acdc") == []


def test_unreadable_image_and_bad_label_are_both_reported(write_case) -> None:
    item = write_case(label=np.full(SHAPE, 7, dtype=np.uint8))
    Path(item["image"]).write_bytes(b"broken")
    assert [message.split(":")[0] for _, _, message in found(item)] == [
        "the file cannot be read",
        "label values outside the label map",
    ]


def test_error_that_nobody_foresaw_is_reported_too(write_case, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("pipeline.data.case_check.read_volume", fail)
    assert found(write_case()) == [("error", "patient001_ed", "the case cannot be read: RuntimeError('boom')")]


def test_4d_file_without_phase_is_an_error(write_case) -> None:
    item = write_case(image=np.stack([ramp()] * 2, axis=-1))
    assert found(item) == [("error", "patient001_ed", "the file is 4D (10x9x3x2) where 3D is needed")]


def test_phase_of_4d_files_is_checked(write_case) -> None:
    labels = np.stack([np.full(SHAPE, 9, dtype=np.uint8), heart()], axis=-1)
    assert check_case(write_case(image=np.stack([ramp()] * 2, axis=-1), label=labels, frame=1), "acdc") == []


def test_other_shape_is_an_error(write_case) -> None:
    item = write_case(label=heart()[:, :, :2])
    assert found(item) == [("error", "patient001_ed_gt", "image and label differ in shape: 10x9x3 and 10x9x2")]


@pytest.mark.parametrize(
    ("label_affine", "difference"),
    [
        (affine(shift=1.5), "origins 1.5 mm apart"),
        (affine((1.4, 1.6, 8.0)), "spacing 1.4, 1.6, 9 and 1.4, 1.6, 8 mm"),
        (affine(angle=31.0), "axes point in different directions"),
    ],
)
def test_other_grid_is_an_error(write_case, label_affine: np.ndarray, difference: str) -> None:
    item = write_case(affine=affine(), label_affine=label_affine)
    message = f"image and label lie on different grids: {difference}"
    assert found(item) == [("error", "patient001_ed_gt", message)]


def test_grids_within_the_tolerance_are_one(write_case) -> None:
    assert check_case(write_case(affine=affine(), label_affine=affine(shift=0.009)), "acdc") == []


def test_values_outside_the_label_map_are_an_error(write_case) -> None:
    label = heart()
    label[0, 0, :2] = 4
    message = "label values outside the label map: 4 (2 voxels); the map has 0 BACKGROUND, 1 RV, 2 MYO, 3 LV"
    assert found(write_case(label=label)) == [("error", "patient001_ed_gt", message)]


def test_many_values_outside_are_shortened(write_case) -> None:
    label = np.arange(270, dtype=np.int16).reshape(SHAPE)
    assert "13 (1 voxels) and 256 more" in found(write_case(label=label))[0][2]


@pytest.mark.parametrize(("value", "text"), [(0.5, "0.5"), (np.nan, "nan"), (np.inf, "inf")])
def test_value_that_is_no_integer_is_an_error(write_case, value: float, text: str) -> None:
    label = heart().astype(np.float32)
    label[0, 0, 0] = value
    message = f"label values must be integers, got {text} (1 voxels)"
    assert found(write_case(label=label)) == [("error", "patient001_ed_gt", message)]


def test_integers_stored_as_float_are_sound(write_case) -> None:
    assert check_case(write_case(label=heart().astype(np.float64)), "acdc") == []


def test_own_mapping_is_taken(write_case) -> None:
    assert check_case(write_case(label=heart() * 10), {10: 1, 20: 2, 30: 3}) == []


def test_absent_structure_is_a_warning(write_case) -> None:
    label = heart()
    label[label == 1] = 0
    assert found(write_case(label=label)) == [("warning", "patient001_ed_gt", "absent from the label: RV")]


def test_empty_label_is_a_warning(write_case) -> None:
    item = write_case(label=np.zeros(SHAPE, dtype=np.uint8))
    assert found(item) == [("warning", "patient001_ed_gt", "the label is empty")]


def test_reversed_label_map_is_a_warning(write_case) -> None:
    message = "LV and RV look swapped: myocardium surrounds the RV rather than the LV"
    assert found(write_case(), "mnms") == [("warning", "patient001_ed_gt", message)]


@pytest.mark.parametrize(
    ("spacing", "message"),
    [
        ((0.4, 1.6, 9.0), "odd spacing: 0.4 mm along axis x, in-plane spacing is 0.5 to 3 mm"),
        ((1.4, 3.1, 9.0), "odd spacing: 3.1 mm along axis y, in-plane spacing is 0.5 to 3 mm"),
        ((1.4, 1.6, 1.9), "odd spacing: 1.9 mm along axis z, slice spacing is 2 to 20 mm"),
        ((1.4, 1.6, 21.0), "odd spacing: 21 mm along axis z, slice spacing is 2 to 20 mm"),
        ((21.0, 1.6, 1.4), "odd spacing: 21 mm along axis x, slice spacing is 2 to 20 mm"),
    ],
)
def test_odd_spacing_is_a_warning(write_case, spacing: tuple[float, float, float], message: str) -> None:
    assert found(write_case(affine=affine(spacing))) == [("warning", "patient001_ed", message)]


@pytest.mark.parametrize("spacing", [(0.51, 2.99, 2.999), (0.51, 2.99, 19.9)])
def test_spacing_within_the_range_is_sound(write_case, spacing: tuple[float, float, float]) -> None:
    assert check_case(write_case(affine=affine(spacing)), "acdc") == []


def test_nan_and_infinite_voxels_are_an_error(write_case) -> None:
    image = ramp()
    image[0, 0, :] = np.nan, np.nan, np.inf
    message = "2 NaN and 1 infinite of 270 voxels"
    assert found(write_case(image=image)) == [("error", "patient001_ed", message)]


def test_values_beyond_float32_are_infinite(write_case) -> None:
    image = ramp().astype(np.float64)
    image[0, 0, 0] = 1e300
    assert found(write_case(image=image))[0][2] == "0 NaN and 1 infinite of 270 voxels"


def test_image_of_nan_alone_is_an_error(write_case) -> None:
    assert found(write_case(image=np.full(SHAPE, np.nan)))[0][2] == "270 NaN and 0 infinite of 270 voxels"


def test_constant_image_is_an_error(write_case) -> None:
    item = write_case(image=np.full(SHAPE, 7, dtype=np.int16))
    assert found(item) == [("error", "patient001_ed", "the image is constant: every voxel is 7")]


def test_png_is_checked_without_spacing(tmp_path: Path) -> None:
    Image.fromarray(ramp()[:, :, 0].astype(np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(heart()[:, :, 0]).save(tmp_path / "a_mask.png")
    item = {"image": str(tmp_path / "a.png"), "label": str(tmp_path / "a_mask.png"), "case_id": "a"}
    findings = inspect_case(item, LABEL_MAPS["acdc"])
    assert findings.problems == []
    assert {"spacing_x_mm", "lv_ml", "size_z"}.isdisjoint(findings.row)


def test_copy_in_another_number_type_has_the_same_digest(write_case) -> None:
    original = inspect_case(write_case("a_ed", image=ramp()), LABEL_MAPS["acdc"])
    copied = inspect_case(write_case("b_ed", image=ramp().astype(np.int16)), LABEL_MAPS["acdc"])
    assert original.image_digest == copied.image_digest


def test_further_label_is_in_the_table_and_never_missed(write_case) -> None:
    scarred = heart()
    scarred[0, 0, :2] = 9
    label_map = {1: 1, 2: 2, 3: 3, 9: 4}
    for label, volume_ml in ((scarred, 2 * 0.02016), (heart(), 0.0)):
        findings = inspect_case(write_case(image=ramp(), label=label), resolve_label_map(label_map))
        assert findings.row["label_4_ml"] == pytest.approx(volume_ml, rel=1e-5)
        assert findings.problems == []

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import Compose

from pipeline.transforms.batch import RandAffineBatch, RandAffineBatchd

STILL: dict[str, Any] = {"rotate_degrees": 0.0, "scale": (1.0, 1.0), "shear": 0.0}
WILD: dict[str, Any] = {"rotate_degrees": 180.0, "shift": 3.0, "flip_prob": 0.5, "elastic_prob": 0.8}
ROWS = torch.arange(5.0).view(1, 1, 5, 1).expand(1, 1, 5, 5)
COLUMNS = ROWS.transpose(2, 3)


def resample(image: torch.Tensor, roi_size: list[int], mode: str = "bilinear", **settings: Any) -> torch.Tensor:
    state = settings.pop("state", None)
    transform = RandAffineBatch(roi_size, **settings)
    transform.set_random_state(seed=0) if state is None else transform.set_random_state(state=state)
    grid = transform.sampling_grid(image.shape[0], image.shape[2:])
    return transform(image, grid, mode)


def heart(samples: int = 6, size: int = 24) -> torch.Tensor:
    """Labels 0 to 3, one blob a sample at a place of its own."""
    label = torch.zeros(samples, 1, size, size, dtype=torch.uint8)
    for i in range(samples):
        label[i, 0, 4 + i : 14 + i, 6:18] = 2
        label[i, 0, 7 + i : 11 + i, 9:13] = 3
        label[i, 0, 4 + i : 14 + i, 2:6] = 1
    return label


@pytest.mark.parametrize("settings", [STILL, {"prob": 0.0, "rotate_degrees": 90.0, "shear": 0.5, "shift": 5.0}])
def test_without_change_the_center_is_cut_out(settings: dict[str, Any]) -> None:
    image = torch.rand(3, 1, 12, 11)
    assert torch.allclose(resample(image, [6, 7], **settings), image[:, :, 3:9, 2:9], atol=1e-5)


def test_without_change_labels_are_exact() -> None:
    assert torch.equal(resample(heart(), [16, 16], "nearest", **STILL), heart()[:, :, 4:20, 4:20])


def test_quarter_turn(highest: np.random.RandomState) -> None:
    image = torch.arange(9.0).view(1, 1, 3, 3)
    turned = resample(image, [3, 3], **{**STILL, "rotate_degrees": 90.0}, state=highest)
    assert torch.allclose(turned[0, 0], torch.tensor([[6.0, 3, 0], [7, 4, 1], [8, 5, 2]]), atol=1e-5)


def test_quarter_turn_of_a_rectangular_window_reads_beyond_it_as_zero(highest: np.random.RandomState) -> None:
    image = torch.tensor([[1.0, 2, 3, 4]]).view(1, 1, 1, 4)
    turned = resample(image, [4, 2], **{**STILL, "rotate_degrees": 90.0}, state=highest)
    # the row lies between the two columns of the output
    assert torch.allclose(turned[0, 0], torch.tensor([[0.5, 0.5], [1, 1], [1.5, 1.5], [2, 2]]), atol=1e-5)


def test_mirroring_turns_both_axes(highest: np.random.RandomState) -> None:
    image = torch.rand(2, 1, 4, 6)
    mirrored = resample(image, [4, 6], **STILL, flip_prob=1.0, state=highest)
    assert torch.allclose(mirrored, image.flip(2, 3), atol=1e-5)


@pytest.mark.parametrize(("scale", "expected"), [(2.0, [1.5, 2.0, 2.5]), (0.5, [0.0, 2.0, 4.0])])
def test_scale_above_one_magnifies(scale: float, expected: list[float]) -> None:
    settings = {**STILL, "scale": (scale, scale)}
    assert resample(COLUMNS, [3, 3], **settings)[0, 0, 1].tolist() == pytest.approx(expected, abs=1e-5)
    assert resample(ROWS, [3, 3], **settings)[0, 0, :, 1].tolist() == pytest.approx(expected, abs=1e-5)


def test_magnifying_is_as_likely_as_shrinking() -> None:
    transform = RandAffineBatch([3, 3], **{**STILL, "scale": (0.25, 4.0)}).set_random_state(0)
    grid = transform.sampling_grid(2000, [3, 3])
    width = grid[:, 1, 2, 0] - grid[:, 1, 0, 0]
    assert 0.45 < float((width < 4 / 3).float().mean()) < 0.55


def test_shear_moves_rows_by_their_column(highest: np.random.RandomState) -> None:
    sheared = resample(ROWS, [3, 3], **{**STILL, "shear": 1.0}, state=highest)
    assert torch.allclose(sheared[0, 0], torch.tensor([[0.0, 1, 2], [1, 2, 3], [2, 3, 4]]), atol=1e-5)


def test_shift_moves_both_axes_by_pixels(highest: np.random.RandomState) -> None:
    image = torch.rand(1, 1, 7, 9)
    shifted = resample(image, [3, 5], **STILL, shift=2.0, state=highest)
    assert torch.allclose(shifted, image[:, :, 4:7, 4:9], atol=1e-5)


def test_elastic_displacement_is_in_pixels(highest: np.random.RandomState) -> None:
    image = torch.rand(1, 1, 7, 7)
    # all control points are displaced by one standard deviation, 2 pixels: the same everywhere
    moved = resample(image, [3, 3], **STILL, elastic_prob=1.0, elastic=(2.0, 2.0), state=highest)
    assert torch.allclose(moved, image[:, :, 4:7, 4:7], atol=1e-5)


def test_elastic_displacement_has_the_strength_asked_for() -> None:
    transform = RandAffineBatch([16, 16], **STILL, elastic_prob=1.0, elastic=(3.0, 3.0)).set_random_state(0)
    still = RandAffineBatch([16, 16], **STILL).sampling_grid(500, [32, 32])
    moved = (transform.sampling_grid(500, [32, 32]) - still) * 16  # 2 units are 32 pixels
    assert float(moved[:, 0, 0].std()) == pytest.approx(3.0, abs=0.3)


def test_elastic_displacement_is_of_some_samples_only() -> None:
    transform = RandAffineBatch([16, 16], **STILL, elastic_prob=0.5).set_random_state(0)
    still = RandAffineBatch([16, 16], **STILL).sampling_grid(100, [32, 32])
    moved = (transform.sampling_grid(100, [32, 32]) != still).flatten(start_dim=1)
    assert 35 <= int(moved.any(dim=1).sum()) <= 65
    assert moved[moved.any(dim=1)].float().mean() > 0.99


def test_outside_of_the_window_is_zero() -> None:
    framed = resample(torch.ones(1, 1, 3, 3), [5, 5], **STILL)
    assert torch.allclose(framed, torch.nn.functional.pad(torch.ones(1, 1, 3, 3), [1] * 4), atol=1e-5)


def test_image_and_label_move_by_the_same_grid() -> None:
    batch = {"image": heart().float(), "label": heart()}
    transform = RandAffineBatchd(["image", "label"], [16, 16], mode=["nearest", "nearest"], **WILD)
    moved = transform.set_random_state(1)(batch)
    assert torch.equal(moved["image"], moved["label"].float())
    assert not torch.equal(moved["label"], heart()[:, :, 4:20, 4:20])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32])
def test_labels_keep_dtype_and_values(dtype: torch.dtype) -> None:
    moved = resample(heart().to(dtype), [16, 16], "nearest", **WILD)
    assert moved.dtype == dtype
    assert set(moved.unique().tolist()) == {0, 1, 2, 3}


def test_samples_move_differently() -> None:
    image = torch.rand(1, 1, 20, 20).expand(3, 1, 20, 20)
    first, second, third = resample(image, [12, 12])
    assert not torch.allclose(first, second)
    assert not torch.allclose(second, third)


def test_only_samples_that_are_drawn_move() -> None:
    image = torch.rand(200, 1, 10, 10)
    moved = resample(image, [6, 6], prob=0.3)
    still = (moved - image[:, :, 2:8, 2:8]).abs().flatten(1).amax(dim=1) < 1e-5
    assert 0.6 < float(still.float().mean()) < 0.8


@pytest.mark.parametrize("seed", [0, 1])
def test_dictionary_form_equals_array_form(seed: int) -> None:
    batch = {"image": torch.rand(6, 1, 24, 24), "label": heart(), "case_id": ["a"] * 6}
    moved = RandAffineBatchd(["image", "label"], [16, 16], **WILD).set_random_state(seed)(batch)
    array = RandAffineBatch([16, 16], **WILD).set_random_state(seed)
    grid = array.sampling_grid(6, [24, 24])
    assert torch.equal(moved["image"], array(batch["image"], grid))
    assert torch.equal(moved["label"], array(batch["label"], grid, "nearest"))
    assert moved["case_id"] is batch["case_id"]


def test_input_is_untouched() -> None:
    batch = {"image": torch.ones(6, 1, 24, 24), "label": heart()}
    RandAffineBatchd(["image", "label"], [16, 16], **WILD)(batch)
    assert torch.equal(batch["image"], torch.ones(6, 1, 24, 24))
    assert torch.equal(batch["label"], heart())


def test_compose_governs_the_random_state() -> None:
    composed = Compose([RandAffineBatchd(["label"], [16, 16], mode=["nearest"], **WILD)])
    first, second, other = (composed.set_random_state(seed)({"label": heart()})["label"] for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_missing_keys_are_passed_over_on_request() -> None:
    transform = RandAffineBatchd(["image", "label"], [16, 16], allow_missing_keys=True)
    assert transform({"label": heart()})["label"].shape == (6, 1, 16, 16)
    assert transform({"case_id": "a"}) == {"case_id": "a"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prob": 1.5}, r"prob must be in \[0, 1\], got 1.5"),
        ({"turn_prob": 2}, r"turn_prob must be in \[0, 1\], got 2"),
        ({"flip_prob": -1}, r"flip_prob must be in \[0, 1\], got -1"),
        ({"elastic_prob": 2}, r"elastic_prob must be in \[0, 1\], got 2"),
        ({"scale": (0, 1)}, "scale must be two rising numbers of at least 0.001"),
        ({"elastic": (3, 2)}, "elastic must be two rising numbers of at least 0"),
        ({"control_points": 1}, "control_points must be at least 2, got 1"),
        ({"roi_size": [16]}, r"roi_size must be two positive numbers, got \[16\]"),
        ({"roi_size": [16, 0]}, r"roi_size must be two positive numbers, got \[16, 0\]"),
    ],
)
def test_wrong_arguments_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandAffineBatch(**{"roi_size": [16, 16], **settings})


def test_mode_for_each_key_is_asked_for() -> None:
    with pytest.raises(
        ValueError, match=r"mode must have one entry a key, got \['bilinear'\] for \['image', 'label'\]"
    ):
        RandAffineBatchd(["image", "label"], [16, 16], mode=["bilinear"])


def test_quarter_turns_move_no_value() -> None:
    image = torch.rand(12, 1, 6, 6)
    turned = resample(image, [6, 6], **STILL, turn_prob=1.0)
    for sample, original in zip(turned, image, strict=True):
        assert any(torch.allclose(sample, original.rot90(k, (1, 2)), atol=1e-5) for k in (1, 2, 3))

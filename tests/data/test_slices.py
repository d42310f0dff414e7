from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from pipeline.data.slices import SliceDataset, cut_window, label_center
from pipeline.errors import InputError

AFFINE = torch.diag(torch.tensor([-1.5, -1.5, 8.0, 1.0], dtype=torch.float64))


def volume(number: int = 0, slices: int = 3, label: torch.Tensor | None = None) -> dict[str, Any]:
    """Image whose values tell volume, slice, row and column; label around row 6, column 3."""
    rows, columns = torch.arange(10.0).view(1, 10, 1, 1), torch.arange(8.0).view(1, 1, 8, 1)
    image = 1000 * (number + 1) + 100 * torch.arange(float(slices)) + 10 * rows + columns
    if label is None:
        label = torch.zeros(1, 10, 8, slices, dtype=torch.uint8)
        label[0, 5:8, 2:5] = 2
    return {"image": MetaTensor(image, affine=AFFINE), "label": MetaTensor(label, affine=AFFINE)}


def dataset(*volumes: dict[str, Any], window: tuple[int, int] = (4, 4), **settings: Any) -> SliceDataset:
    return SliceDataset(
        volumes or [volume()], window, **{"jitter": 0, "anywhere_prob": 0.0, **settings}
    ).set_random_state(0)


def corner(item: dict[str, torch.Tensor]) -> tuple[int, int]:
    """Row and column of the window's first pixel, from its value."""
    value = int(item["image"][0, 0, 0])
    return value // 10 % 10, value % 10


def test_every_slice_of_every_volume_comes_once() -> None:
    slices = dataset(volume(0, slices=2), volume(1, slices=3))
    assert len(slices) == 5
    values = [int(slices[i]["image"][0, 0, 0]) // 100 for i in range(5)]
    assert values == [10, 11, 20, 21, 22]


def test_window_is_centered_on_the_labels() -> None:
    item = dataset()[0]
    assert item["image"].shape == item["label"].shape == (1, 4, 4)
    assert corner(item) == (6 - 2, 3 - 2)


def test_odd_windows_have_the_center_in_the_middle() -> None:
    item = dataset(window=(3, 5))[0]
    assert item["image"].shape == (1, 3, 5)
    assert corner(item) == (6 - 1, 3 - 2)


def test_image_and_label_are_cut_at_the_same_place() -> None:
    item = dataset(volume(label=volume()["image"].as_tensor()), jitter=5, anywhere_prob=0.5)[1]
    assert torch.equal(item["image"], item["label"])


def test_jitter_moves_the_window_as_far_as_allowed() -> None:
    slices = dataset(jitter=1)
    assert {corner(slices[0]) for _ in range(200)} == {(row, column) for row in (3, 4, 5) for column in (0, 1, 2)}


def test_anywhere_reaches_the_whole_slice() -> None:
    slices = dataset(window=(1, 1), anywhere_prob=1.0)
    assert {corner(slices[0]) for _ in range(2000)} == {(row, column) for row in range(10) for column in range(8)}


def test_anywhere_is_as_frequent_as_asked_for() -> None:
    slices = dataset(window=(1, 1), anywhere_prob=0.25)
    away = np.mean([corner(slices[0]) != (6, 3) for _ in range(2000)])
    assert away == pytest.approx(0.25 * 79 / 80, abs=0.03)


def test_window_beyond_the_slice_is_filled_with_zeros() -> None:
    item = dataset(window=(14, 12))[0]
    # begins 1 row and 3 columns before the slice
    assert torch.equal(item["image"][0, 1:11, 3:11], volume()["image"][0, ..., 0].as_tensor())
    assert int((item["image"] != 0).sum()) == 80


def test_samples_are_plain_tensors_that_share_no_memory() -> None:
    volumes = [volume(slices=1)]
    item = dataset(*volumes, window=(10, 8))[0]
    assert type(item["image"]) is torch.Tensor
    item["image"].zero_()
    assert torch.equal(volumes[0]["image"], volume(slices=1)["image"])


def drawn_corners(seed: int) -> list[tuple[int, int]]:
    slices = dataset(jitter=2, anywhere_prob=0.5).set_random_state(seed)
    return [corner(slices[i]) for i in (0, 1, 2, 0, 1, 2)]


def test_same_seed_gives_the_same_windows() -> None:
    assert drawn_corners(seed=1) == drawn_corners(seed=1)
    assert drawn_corners(seed=1) != drawn_corners(seed=2)


def test_empty_list_is_refused() -> None:
    with pytest.raises(ValueError, match="volumes must hold at least one slice, got none"):
        SliceDataset([], (4, 4))


def test_center_of_an_l_is_that_of_its_bounding_box() -> None:
    label = torch.zeros(1, 20, 30, 2)
    label[0, 2:13, 4, 0] = 1  # rows 2 to 12
    label[0, 12, 4:21, 1] = 3  # columns 4 to 20, in another slice
    assert label_center(label).tolist() == [7, 12]


def test_center_of_a_single_pixel_is_the_pixel() -> None:
    label = torch.zeros(1, 5, 6, 1)
    label[0, 4, 0] = 2
    assert label_center(MetaTensor(label)).tolist() == [4, 0]


def test_center_without_labels_is_that_of_the_slice() -> None:
    assert label_center(torch.zeros(1, 9, 6, 2)).tolist() == [4, 2]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ((1, 1), [[4, 5], [7, 8]]),
        ((-1, 0), [[0, 0], [0, 1]]),
        ((0, -1), [[0, 0], [0, 3]]),
        ((2, 1), [[7, 8], [0, 0]]),
        ((1, 2), [[5, 0], [8, 0]]),
        ((-1, -1), [[0, 0], [0, 0]]),
        ((2, 2), [[8, 0], [0, 0]]),
        ((-2, 0), [[0, 0], [0, 0]]),
        ((3, 0), [[0, 0], [0, 0]]),
        ((-9, 9), [[0, 0], [0, 0]]),
        ((9, -9), [[0, 0], [0, 0]]),
    ],
)
def test_window_at_the_border(start: tuple[int, int], expected: list[list[int]]) -> None:
    image = torch.arange(9).view(1, 3, 3)  # the corner is 0 itself
    assert cut_window(image, np.array(start), (2, 2))[0].tolist() == expected


def test_window_around_the_whole_image() -> None:
    window = cut_window(torch.ones(2, 1, 2), np.array([-1, -2]), (3, 5))
    assert window[1].tolist() == [[0, 0, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]]


def test_neighbors_become_channels() -> None:
    values = dataset(volume(slices=3), neighbors=1)[0]["image"][:, 0, 0]
    # slice 0 stands in for the one below it
    assert [int(value) // 100 % 10 for value in values] == [0, 0, 1]


def test_negative_neighbors_are_refused() -> None:
    with pytest.raises(ValueError, match="neighbors must not be negative, got -1"):
        dataset(neighbors=-1)


def test_window_carries_the_name_of_its_case() -> None:
    assert dataset(volume() | {"case_id": "a_ed"})[0]["case_id"] == "a_ed"


def test_labels_without_any_structure_are_refused() -> None:
    empty = torch.zeros(1, 10, 8, 3, dtype=torch.uint8)
    with pytest.raises(InputError, match="none of the 2 volumes to train on has a structure in its label"):
        dataset(volume(label=empty), volume(label=empty))

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

from pipeline.transforms.largest_component import KeepLargestComponent, KeepLargestComponentd

AFFINE = torch.diag(torch.tensor([-1.5, -1.5, 8.0, 1.0], dtype=torch.float64))


def empty() -> MetaTensor:
    return MetaTensor(torch.zeros((1, 8, 8, 4), dtype=torch.uint8), affine=AFFINE)


def test_island_becomes_background() -> None:
    img = empty()
    img[0, 1:4, 1:4, 0] = 3
    expected = img.clone()
    img[0, 6, 6, 0] = 3
    assert torch.equal(KeepLargestComponent()(img), expected)


def test_each_structure_is_cleaned_by_itself() -> None:
    img = empty()
    img[0, 1:4, 1:4, 0], img[0, 6, 6, 0], img[0, 7, 7, 3] = 3, 1, 2
    assert torch.equal(KeepLargestComponent()(img), img)


def test_island_inside_the_box_of_the_rest_is_found() -> None:
    img = empty()
    img[0, 0, 0:7, 0] = img[0, 0:7, 0, 0] = 1
    expected = img.clone()
    img[0, 3, 3, 0] = 1
    assert torch.equal(KeepLargestComponent()(img), expected)


def test_other_structure_inside_the_box_stays() -> None:
    img = empty()
    img[0, 0, 0:7, 0] = img[0, 0:7, 0, 0] = 1
    img[0, 3:5, 3, 0] = 3
    assert torch.equal(KeepLargestComponent()(img), img)


@pytest.mark.parametrize("step", [(1, 0, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (1, 1, 1)])
def test_voxels_that_share_a_corner_are_connected(step: tuple[int, int, int]) -> None:
    img = empty()
    img[0, 2, 2, 1] = img[0, 2 + step[0], 2 + step[1], 1 + step[2]] = 2
    assert torch.equal(KeepLargestComponent()(img), img)


def test_slice_between_empty_slices_is_an_island() -> None:
    img = empty()
    img[0, 1:4, 1:4, 0] = 3
    img[0, 1:3, 1:3, 2] = 3
    assert KeepLargestComponent()(img)[0].sum(dim=(0, 1)).tolist() == [27, 0, 0, 0]


def test_first_of_two_of_the_same_size_stays() -> None:
    img = empty()
    img[0, 1, 1, 0] = img[0, 5, 5, 0] = 1
    assert torch.nonzero(KeepLargestComponent()(img)).tolist() == [[0, 1, 1, 0]]


def test_structures_that_are_not_named_stay() -> None:
    img = empty()
    img[0, 1, 1, 0] = img[0, 5, 5, 0] = 1
    assert torch.equal(KeepLargestComponent(structures=[2, 3])(img), img)


def test_empty_map_stays_empty() -> None:
    assert not KeepLargestComponent()(empty()).any()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32])
def test_dtype_and_grid_stay(dtype: torch.dtype) -> None:
    img = empty().to(dtype)
    img[0, 1, 1, 1] = 3
    cleaned = KeepLargestComponent()(img)
    assert cleaned.dtype == dtype
    assert torch.equal(cleaned.affine, AFFINE)


def test_input_is_untouched() -> None:
    img = empty()
    img[0, 1, 1, 0] = img[0, 5, 5, 0] = 1
    before = img.clone()
    KeepLargestComponent()(img)
    assert torch.equal(img, before)


def test_one_hot_map_is_refused() -> None:
    with pytest.raises(ValueError, match=r"label map of shape \(1, X, Y, Z\), got \(4, 8, 8, 4\)"):
        KeepLargestComponent()(torch.zeros(4, 8, 8, 4))


def test_dictionary_form_equals_array_form() -> None:
    img = empty()
    img[0, 1, 1, 0] = img[0, 5, 5, 0] = 1
    cleaned = KeepLargestComponentd("pred")({"pred": img, "case_id": "a"})
    assert torch.equal(cleaned["pred"], KeepLargestComponent()(img))
    assert cleaned["case_id"] == "a"

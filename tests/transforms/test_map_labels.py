from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

from pipeline.errors import InputError
from pipeline.transforms.map_labels import MapLabels, MapLabelsd

AFFINE = torch.diag(torch.tensor([-1.5, -1.5, 8.0, 1.0], dtype=torch.float64))


def label(*values: float, dtype: torch.dtype = torch.float32) -> MetaTensor:
    voxels = torch.tensor(values, dtype=dtype).reshape(1, 1, 1, -1)
    return MetaTensor(voxels, affine=AFFINE, meta={"filename_or_obj": "a_gt.nii.gz"})


@pytest.mark.parametrize(
    ("label_map", "values", "expected"),
    [
        ("acdc", (0, 1, 2, 3), [0, 1, 2, 3]),
        ("mnms", (0, 1, 2, 3), [0, 3, 2, 1]),
        ("mscmrseg", (0, 200, 500, 600), [0, 2, 3, 1]),
        ({7: 3}, (7, 0, 7), [3, 0, 3]),
        ({-1: 0, 1: 3}, (-1, 0, 1), [0, 0, 3]),
        ({"1": 3}, (1,), [3]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.int16, torch.int64])
def test_values_are_mapped(label_map: object, values: tuple[int, ...], expected: list[int], dtype: torch.dtype) -> None:
    assert MapLabels(label_map)(label(*values, dtype=dtype)).flatten().tolist() == expected


def test_result_is_uint8_on_the_same_grid() -> None:
    mapped = MapLabels("acdc")(label(0, 1))
    assert mapped.dtype == torch.uint8
    assert torch.equal(mapped.affine, AFFINE)
    assert mapped.meta["filename_or_obj"] == "a_gt.nii.gz"


def test_input_is_untouched() -> None:
    before = label(1, 2)
    MapLabels("mnms")(before)
    assert before.flatten().tolist() == [1, 2]


def test_plain_tensor_gives_a_plain_tensor() -> None:
    mapped = MapLabels("mnms")(torch.tensor([1, 3]))
    assert type(mapped) is torch.Tensor
    assert mapped.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((4, 4, 0), "4 in 2"),
        ((7, 4, 0), "4, 7 in 2"),
        ((-1,), "-1 in 1"),
        ((1e9,), r"1e\+09 in 1"),
        ((0.5,), "0.5 in 1"),
    ],
)
def test_values_outside_the_map_are_listed(values: tuple[float, ...], shown: str) -> None:
    with pytest.raises(InputError, match=rf"a_gt.nii.gz must hold .* of label_map 'acdc', got {shown} voxels"):
        MapLabels("acdc")(label(*values))


def test_value_in_a_gap_of_the_map_is_refused() -> None:
    with pytest.raises(InputError, match=r"values \[0, 200, 500, 600\] of label_map 'mscmrseg', got 300 in 1"):
        MapLabels("mscmrseg")(label(200, 300))


def test_nan_is_refused() -> None:
    with pytest.raises(InputError, match=r"of label_map, got nan in 1 voxels.*acdc, mnms.* or a mapping"):
        MapLabels({1: 3})(label(float("nan")))


def test_many_values_are_shortened() -> None:
    with pytest.raises(InputError, match="got 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 and 6 more in 16 voxels"):
        MapLabels("acdc")(label(*range(4, 20)))


def test_unknown_name_is_refused_at_construction() -> None:
    with pytest.raises(InputError, match="label_map must be a mapping or one of"):
        MapLabels("acdd")


def test_dictionary_form_equals_array_form() -> None:
    item = {"label": label(1, 2, 3), "image": label(9, 9, 9)}
    mapped = MapLabelsd("label", "mnms")(item)
    assert torch.equal(mapped["label"], MapLabels("mnms")(item["label"]))
    assert mapped["image"] is item["image"]

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from pipeline.errors import InputError
from pipeline.transforms.check_image import CheckImage, CheckImaged, CheckSameGrid, CheckSameGridd, source_name

AFFINE = torch.tensor([[-1.2, 0.5, 0, 3], [0.5, 1.2, 0, 4], [0, 0, 8, 5], [0, 0, 0, 1]], dtype=torch.float64)


def image(shape: tuple[int, ...] = (1, 4, 3, 2), name: str = "a.nii.gz", affine: torch.Tensor = AFFINE) -> MetaTensor:
    voxels = torch.arange(float(np.prod(shape))).reshape(shape)
    return MetaTensor(voxels, affine=affine, meta={"filename_or_obj": name})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int16, torch.uint8])
def test_good_image_passes_as_the_same_object(dtype: torch.dtype) -> None:
    img = image().to(dtype)
    assert CheckImage()(img) is img


def test_cine_passes_where_phases_are_allowed() -> None:
    img = image((5, 4, 3, 2))
    assert CheckImage(allow_phases=True)(img) is img


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    img = image()
    img[0, 1, 1, 1] = value
    with pytest.raises(InputError, match=r"a.nii.gz holds 1 NaN or infinite values of 24"):
        CheckImage()(img)


def test_constant_image_is_refused() -> None:
    with pytest.raises(InputError, match=r"a.nii.gz is constant: all voxels are 7\."):
        CheckImage()(torch.full_like(image(), 7))


def test_constant_phases_are_named() -> None:
    img = image((3, 4, 3, 2))
    img[1] = 0
    with pytest.raises(InputError, match=r"constant in phases \[1\] \(counted from 0\): all voxels are 0"):
        CheckImage(allow_phases=True)(img)


@pytest.mark.parametrize(("shape", "shown"), [((1, 4, 3), r"\(4, 3\)"), ((3, 4, 3, 2, 1), r"\(4, 3, 2, 1\)")])
def test_other_numbers_of_axes_are_refused(shape: tuple[int, ...], shown: str) -> None:
    with pytest.raises(InputError, match=rf"a.nii.gz must be a volume .* got shape {shown}"):
        CheckImage(allow_phases=True)(image(shape))


def test_empty_axis_is_refused() -> None:
    with pytest.raises(InputError, match=r"a.nii.gz is empty: its channel-first shape is \(1, 4, 0, 2\)"):
        CheckImage()(image((1, 4, 0, 2)))


def test_cine_is_refused_where_a_volume_is_needed() -> None:
    with pytest.raises(InputError, match=r"a.nii.gz is 4D where 3D is needed: it has 5 phases"):
        CheckImage()(image((5, 4, 3, 2)))


def test_dictionary_form_checks_its_keys_alone() -> None:
    item = {"image": image(), "label": torch.zeros(1, 4, 3, 2)}
    assert CheckImaged("image")(item)["image"] is item["image"]
    with pytest.raises(InputError, match="the image is constant"):
        CheckImaged(["image", "label"])(item)


def test_dictionary_form_allows_phases() -> None:
    CheckImaged("image", allow_phases=True)({"image": image((5, 4, 3, 2))})


def test_label_on_the_grid_of_its_image_passes() -> None:
    item = {"image": image((5, 4, 3, 2)), "label": image()}
    assert CheckSameGridd()(item) == item


def test_item_without_label_passes() -> None:
    assert list(CheckSameGridd()({"image": image()})) == ["image"]


@pytest.mark.parametrize(("shift", "accepted"), [(0.009, True), (0.011, False)])
def test_label_may_lie_a_hundredth_of_a_millimeter_beside(shift: float, accepted: bool) -> None:
    moved = AFFINE.clone()
    moved[2, 3] += shift
    item = {"image": image(), "label": image(name="a_gt.nii.gz", affine=moved)}
    if accepted:
        CheckSameGridd()(item)
        return
    with pytest.raises(InputError, match=r"image a.nii.gz and label a_gt.nii.gz must have the same affine"):
        CheckSameGridd()(item)


def test_label_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"label b.nii.gz must have the same shape, got \(4, 3, 2\) and \(3, 4, 2\)"):
        CheckSameGrid()(image(), image((1, 3, 4, 2), name="b.nii.gz"))


def test_source_of_an_unknown_image_is_called_the_image() -> None:
    assert source_name(torch.zeros(1)) == "the image"

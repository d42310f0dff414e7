"""What an expert has not drawn is unknown: neither judged nor trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from pipeline.labels import Structure
from pipeline.transforms import CropToDrawn, CropToDrawnd, KeepDrawn, KeepDrawnd
from pipeline.transforms.drawn import drawn_slices

AFFINE = torch.tensor(
    [[-1.2, 0.3, 4.0, 10.0], [0.4, 1.5, 2.0, -20.0], [0.1, -0.2, 8.0, 30.0], [0.0, 0.0, 0.0, 1.0]], dtype=torch.float64
)


def volume(*columns: tuple[int, ...]) -> MetaTensor:
    """Volume (1, 3, 1, Z) of the values of each slice along x."""
    values = torch.tensor(columns, dtype=torch.uint8).T[None, :, None, :]
    return MetaTensor(values, affine=AFFINE)


def values(img: torch.Tensor) -> list[list[int]]:
    return img[0, :, 0, :].T.tolist()


LABEL = volume((0, 0, 0), (2, 3, 0), (0, 0, 0), (0, 3, 0), (0, 0, 0))
PRED = volume((1, 2, 3), (2, 3, 1), (2, 3, 0), (2, 2, 3), (0, 3, 3))


def test_drawn_slices_hold_a_structure() -> None:
    assert drawn_slices(LABEL).tolist() == [1, 3]


def test_prediction_is_kept_where_slice_and_structure_are_drawn() -> None:
    assert values(KeepDrawn()(PRED, LABEL)) == [[0, 0, 0], [2, 3, 0], [0, 0, 0], [2, 2, 3], [0, 0, 0]]


def test_structure_that_is_drawn_somewhere_is_kept_in_all_drawn_slices() -> None:
    label = volume((1, 0, 0), (0, 3, 0))
    assert values(KeepDrawn()(volume((1, 3, 2), (1, 3, 2)), label)) == [[1, 3, 0], [1, 3, 0]]


def test_empty_label_judges_nothing() -> None:
    assert not KeepDrawn()(PRED, torch.zeros_like(PRED)).any()


def test_kept_prediction_has_type_and_grid_of_the_prediction() -> None:
    kept = KeepDrawn()(PRED, LABEL)
    assert (type(kept), kept.dtype) == (MetaTensor, torch.uint8)
    assert torch.equal(kept.affine, AFFINE)


def test_inputs_stay_as_they_are() -> None:
    pred, label = PRED.clone(), LABEL.clone()
    KeepDrawn()(pred, label)
    CropToDrawn()(pred, label)
    assert torch.equal(pred, PRED) and torch.equal(label, LABEL)


def test_keep_dictionary_does_what_the_array_transform_does() -> None:
    kept = KeepDrawnd(keys="pred")({"pred": PRED, "label": LABEL, "case_id": "a"})
    assert torch.equal(kept["pred"], KeepDrawn()(PRED, LABEL))
    assert kept["case_id"] == "a"


def test_prediction_without_label_passes() -> None:
    assert KeepDrawnd(keys="pred")({"pred": PRED})["pred"] is PRED


def test_crop_keeps_the_drawn_slices() -> None:
    assert values(CropToDrawn()(PRED, LABEL)) == [[2, 3, 1], [2, 2, 3]]


def test_crop_begins_where_the_first_drawn_slice_lies() -> None:
    position = CropToDrawn()(PRED, LABEL).affine.numpy() @ [0, 0, 0, 1]
    assert position == pytest.approx(np.array([14.0, -18.0, 38.0, 1.0]))


def test_crop_of_an_empty_label_keeps_all() -> None:
    assert CropToDrawn()(PRED, torch.zeros_like(PRED)) is PRED


def test_crop_dictionary_crops_image_and_label_alike() -> None:
    cropped = CropToDrawnd(keys=["image", "label"])({"image": PRED, "label": LABEL})
    assert values(cropped["image"]) == values(CropToDrawn()(PRED, LABEL))
    assert values(cropped["label"]) == [[2, 3, 0], [0, 3, 0]]
    assert Structure.LV in np.unique(cropped["label"])


def test_further_label_that_was_not_drawn_is_not_judged() -> None:
    assert values(KeepDrawn()(volume((4, 3, 0), (4, 2, 0)), LABEL[..., 1:3])) == [[0, 3, 0], [0, 0, 0]]

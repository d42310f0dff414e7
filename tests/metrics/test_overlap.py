from __future__ import annotations

import numpy as np
import pytest

from pipeline.labels import Structure
from pipeline.metrics.overlap import accuracy, confusion_matrix, dice, iou

LABEL = np.array([[0, 0, 1, 1], [2, 2, 3, 3]])
PRED = np.array([[0, 1, 1, 1], [2, 3, 3, 0]])


def test_confusion_matrix_counts_label_by_pred() -> None:
    expected = [[1, 1, 0, 0], [0, 2, 0, 0], [0, 0, 1, 1], [1, 0, 0, 1]]
    assert confusion_matrix(PRED, LABEL).tolist() == expected


def test_accuracy_counts_background_too() -> None:
    assert accuracy(confusion_matrix(PRED, LABEL)) == 5 / 8


# RV: 2 shared, 3 predicted, 2 in the label; MYO: 1, 1, 2; LV: 1, 2, 2
@pytest.mark.parametrize(
    ("structure", "expected"), [(Structure.RV, 4 / 5), (Structure.MYO, 2 / 3), (Structure.LV, 2 / 4)]
)
def test_dice(structure: Structure, expected: float) -> None:
    assert dice(confusion_matrix(PRED, LABEL), structure) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("structure", "expected"), [(Structure.RV, 2 / 3), (Structure.MYO, 1 / 2), (Structure.LV, 1 / 3)]
)
def test_iou(structure: Structure, expected: float) -> None:
    assert iou(confusion_matrix(PRED, LABEL), structure) == pytest.approx(expected)


@pytest.mark.parametrize("measure", [dice, iou])
def test_structure_of_neither_mask_is_nan(measure) -> None:
    nothing = np.zeros((2, 2), dtype=np.uint8)
    assert np.isnan(measure(confusion_matrix(nothing, nothing), Structure.LV))


@pytest.mark.parametrize("measure", [dice, iou])
@pytest.mark.parametrize("swap", [False, True])
def test_structure_of_one_mask_alone_is_zero(measure, swap: bool) -> None:
    masks = [np.zeros((2, 2), dtype=np.uint8), np.full((2, 2), Structure.LV, dtype=np.uint8)]
    pred, label = masks[::-1] if swap else masks
    assert measure(confusion_matrix(pred, label), Structure.LV) == 0.0


def test_accuracy_of_no_voxels_is_nan() -> None:
    assert np.isnan(accuracy(np.zeros((4, 4), dtype=np.int64)))


def test_uint8_counts_do_not_overflow() -> None:
    mask = np.full((300, 300), Structure.LV, dtype=np.uint8)
    assert confusion_matrix(mask, mask)[3, 3] == 90_000


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"same shape, got \(2, 4\) and \(4, 2\)"):
        confusion_matrix(PRED, LABEL.T)


def test_masks_must_be_integers() -> None:
    with pytest.raises(ValueError, match="pred must be an array of integers, got float64; argmax"):
        confusion_matrix(PRED.astype(float), LABEL)


@pytest.mark.parametrize("stranger", [-1, 4])
def test_values_must_be_structures(stranger: int) -> None:
    label = LABEL.copy()
    label[0, 0] = stranger
    with pytest.raises(ValueError, match="label must hold the project's values 0 to 3, got"):
        confusion_matrix(PRED, label)


def test_further_labels_have_rows_of_their_own() -> None:
    label = np.where(LABEL == 2, 5, LABEL)
    matrix = confusion_matrix(PRED, label, num_labels=6)
    # of the two voxels labeled 5 one is predicted MYO, the other LV
    assert matrix[5].tolist() == [0, 0, 1, 1, 0, 0]
    assert (dice(matrix, 5), dice(matrix, 4)) == (0.0, pytest.approx(np.nan, nan_ok=True))

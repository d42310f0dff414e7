from __future__ import annotations

import math

import pytest
import torch

from pipeline.transforms import ExpectedDice, ExpectedDiced


def probabilities(lv: list[float]) -> torch.Tensor:
    """Four voxels that are LV by the given probability, else background."""
    image = torch.zeros(4, 4, 1, 1)
    image[3, :, 0, 0] = torch.tensor(lv)
    image[0] = 1 - image[3]
    return image


def test_sure_mask_expects_one() -> None:
    assert ExpectedDice()(probabilities([1, 1, 0, 0]))["expected_dice_lv"] == pytest.approx(1)


def test_unsure_mask_expects_less() -> None:
    # mask: the two voxels above 0.5; 2 * (0.8 + 0.6) / (2 + 0.8 + 0.6 + 0.4 + 0.2)
    expected = ExpectedDice()(probabilities([0.8, 0.6, 0.4, 0.2]))["expected_dice_lv"]
    assert expected == pytest.approx(2.8 / 4)


def test_structure_without_a_voxel_has_none_and_counts_zero_in_the_mean() -> None:
    expected = ExpectedDice()(probabilities([1, 1, 0, 0]))
    assert math.isnan(expected["expected_dice_rv"])
    assert expected["expected_mean_dice"] == pytest.approx(1 / 3)


def test_dictionary_form_adds_the_estimates() -> None:
    item = {"pred": probabilities([1, 1, 0, 0]), "case_id": "a"}
    assert ExpectedDiced("pred")(item) == item | ExpectedDice()(item["pred"]) | {
        "expected_dice_rv": pytest.approx(math.nan, nan_ok=True),
        "expected_dice_myo": pytest.approx(math.nan, nan_ok=True),
    }


def test_missing_key_is_passed_over_where_allowed() -> None:
    assert ExpectedDiced("pred", allow_missing_keys=True)({"a": 1}) == {"a": 1}


def test_further_labels_change_nothing() -> None:
    image = probabilities([0.8, 0.6, 0.4, 0.2])
    scar = torch.zeros(1, 4, 1, 1)
    assert ExpectedDice()(torch.cat([image, scar])) == pytest.approx(ExpectedDice()(image), nan_ok=True)

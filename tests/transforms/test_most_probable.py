from __future__ import annotations

import torch
from monai.data import MetaTensor
from monai.transforms import AsDiscrete

from pipeline.transforms import MostProbable, MostProbabled


def test_highest_class_wins_and_of_equal_ones_the_first() -> None:
    # voxel by voxel: certain RV, LV just ahead, background and myocardium equal, nothing at all
    probabilities = torch.tensor(
        [[0.0, 0.2, 0.4, 0.0], [1.0, 0.2, 0.1, 0.0], [0.0, 0.2, 0.4, 0.0], [0.0, 0.4, 0.1, 0.0]]
    ).view(4, 4, 1, 1)
    labels = MostProbable()(probabilities)
    assert labels.shape == (1, 4, 1, 1)
    assert labels.flatten().tolist() == [1, 3, 0, 0]


def test_labels_of_monai() -> None:
    probabilities = torch.rand(4, 31, 18, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(MostProbable()(probabilities).float(), AsDiscrete(argmax=True)(probabilities))


def test_dictionary_form_keeps_the_metadata() -> None:
    affine = torch.diag(torch.tensor([1.4, 1.4, 8.0, 1.0], dtype=torch.float64))
    pred = MetaTensor(torch.rand(4, 3, 3, 2), affine=affine, meta={"case_id": "a"})
    item = MostProbabled("pred")({"pred": pred})
    assert torch.equal(item["pred"].affine, affine)
    assert item["pred"].meta["case_id"] == "a"
    assert item["pred"].dtype == torch.uint8


def test_logits_below_zero_and_ties_of_the_foreground() -> None:
    # background; the first of two equal structures; the last
    logits = torch.tensor([[-1.0, -3.0, -9.0], [-2.0, -2.0, -8.0], [-2.0, -2.0, -7.0], [-5.0, -4.0, -6.0]])
    assert MostProbable()(logits.view(4, 3, 1, 1)).flatten().tolist() == [0, 1, 3]

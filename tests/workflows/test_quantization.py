from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.data import Dataset
from monai.engines import SupervisedEvaluator
from torch import nn
from torch.utils.data import DataLoader

from pipeline.inference.collate import collate_phases
from pipeline.inference.inferer import SliceWindowInferer
from pipeline.workflows.quantization import agreement_of, seen_by_network


class Labels(nn.Module):
    """Logits by which each pixel gets the label that is drawn, whatever the image."""

    def __init__(self, *labels: int, classes: int = 4) -> None:
        super().__init__()
        self.logits = nn.functional.one_hot(torch.tensor(labels), classes).float().T.reshape(1, classes, 1, -1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits


def test_agreement_is_the_dice_of_each_structure_over_all_batches() -> None:
    # RV: 1 of 2 and 1 pixels is shared; myocardium: 2 and 2 of 2; LV is nowhere
    model, network = Labels(1, 1, 2, 2, 0), Labels(1, 0, 2, 2, 0)
    batches = [torch.zeros(1, 1, 1, 5)] * 3
    assert agreement_of(model, network, batches) == pytest.approx({"rv": 2 / 3, "myo": 1.0, "lv": 1.0})


def test_further_labels_do_not_count() -> None:
    model, network = Labels(1, 4, 2, classes=5), Labels(1, 2, 2, classes=5)
    # MYO: 1 voxel, 2 voxels, 1 of them shared
    assert agreement_of(model, network, [torch.zeros(1, 1, 1, 3)]) == pytest.approx(
        {"rv": 1.0, "myo": 2 / 3, "lv": 1.0}
    )


class Copies(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.repeat(1, 4, 1, 1)


@pytest.mark.parametrize(("most", "kept"), [(200, [0, 1, 2, 3, 4, 5]), (3, [1, 3, 5])])
def test_batches_are_spread_over_all_that_the_network_saw(
    most: int, kept: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.workflows.quantization.MAX_BATCHES", most)
    scans: list[dict[str, Any]] = [{"image": torch.full((1, 4, 4, 1), float(place))} for place in range(6)]
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(scans, dict), batch_size=1, collate_fn=collate_phases),
        network=Copies(),
        inferer=SliceWindowInferer(-1),
    )
    assert [int(batch.mean()) for batch in seen_by_network(evaluator, 6)] == kept

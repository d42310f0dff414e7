from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.errors import InputError
from pipeline.handlers.label_order import RequireLabelOrder, better_order
from pipeline.labels import Structure


class SeesItsInput(torch.nn.Module):
    """Predicts the class that the image's intensity names."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -((x - torch.arange(4.0).view(1, 4, 1, 1)) ** 2)


def samples(label_of: dict[int, int]) -> list[dict[str, Any]]:
    image = torch.tensor([[0.0, 1.0, 1.0], [2.0, 3.0, 3.0]]).view(1, 2, 3)
    label = torch.tensor([label_of[int(value)] for value in image.flatten()]).view(1, 2, 3)
    return [{"image": image, "label": label}] * 3


def check(label_of: dict[int, int]) -> None:
    engine = SimpleNamespace(state=SimpleNamespace(device=torch.device("cpu")))
    RequireLabelOrder(SeesItsInput(), samples(label_of))(engine)


def test_same_order_passes() -> None:
    check({0: 0, 1: 1, 2: 2, 3: 3})


def test_swapped_ventricles_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"see LV where the labels say RV, RV where the labels say LV\. Give the data's"
    ):
        check({0: 0, 1: 3, 2: 2, 3: 1})


def test_structure_that_no_label_names_is_not_missed() -> None:
    check({0: 0, 1: 0, 2: 2, 3: 3})


def test_weights_that_see_nothing_prove_nothing() -> None:
    confusion = np.array([[90, 0, 0, 0], [10, 0, 0, 0], [10, 0, 0, 0], [10, 0, 0, 0]])
    assert better_order(confusion) == {}


def test_labels_without_structures_prove_nothing() -> None:
    assert better_order(np.diag([10, 0, 0, 0])) == {}


def test_order_is_told_by_label() -> None:
    confusion = np.diag([9, 0, 0, 9])
    confusion[1, 2] = confusion[2, 1] = 9
    assert better_order(confusion) == {Structure.RV: Structure.MYO, Structure.MYO: Structure.RV}


def test_network_trains_on_afterwards() -> None:
    network = SeesItsInput().train()
    engine = SimpleNamespace(state=SimpleNamespace(device=torch.device("cpu")))
    RequireLabelOrder(network, samples({0: 0, 1: 1, 2: 2, 3: 3}))(engine)
    assert network.training


def test_samples_that_come_as_lists_are_compared_too() -> None:
    engine = SimpleNamespace(state=SimpleNamespace(device=torch.device("cpu")))
    listed = [[sample] for sample in samples({0: 0, 1: 3, 2: 2, 3: 1})]
    with pytest.raises(InputError, match="see LV where the labels say RV"):
        RequireLabelOrder(SeesItsInput(), listed)(engine)

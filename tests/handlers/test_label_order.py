from __future__ import annotations

from pathlib import Path
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

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.head = torch.nn.Conv2d(1, classes, 1)
        with torch.no_grad():
            # -(x - k)^2 without its x^2: 2 k x - k^2
            self.head.weight.copy_(2 * torch.arange(float(classes)).view(-1, 1, 1, 1))
            self.head.bias.copy_(-(torch.arange(float(classes)) ** 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(SeesItsInput().state_dict(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def samples(label_of: dict[int, int]) -> list[dict[str, Any]]:
    image = torch.tensor([[0.0, 1.0, 1.0], [2.0, 3.0, 3.0]]).view(1, 2, 3)
    label = torch.tensor([label_of[int(value)] for value in image.flatten()]).view(1, 2, 3)
    return [{"image": image, "label": label}] * 3


SWAPPED = {0: 0, 1: 3, 2: 2, 3: 1}


def check(weights: Path, label_of: dict[int, int], network: torch.nn.Module | None = None) -> None:
    engine = SimpleNamespace(state=SimpleNamespace(device=torch.device("cpu")))
    RequireLabelOrder(network or SeesItsInput(), samples(label_of), weights)(engine)


def test_same_order_passes(weights: Path) -> None:
    check(weights, {0: 0, 1: 1, 2: 2, 3: 3})


def test_swapped_ventricles_are_refused(weights: Path) -> None:
    with pytest.raises(
        InputError, match=r"see LV where the labels say RV, RV where the labels say LV\. Give the data's"
    ):
        check(weights, SWAPPED)


def test_new_head_has_no_order_yet(weights: Path) -> None:
    check(weights, SWAPPED, SeesItsInput(classes=5))


def test_head_of_further_labels_that_is_not_new_is_compared(weights: Path) -> None:
    torch.save(SeesItsInput(classes=5).state_dict(), weights)
    with pytest.raises(InputError, match="see LV where the labels say RV"):
        check(weights, SWAPPED, SeesItsInput(classes=5))


def test_further_label_is_no_structure_in_another_order(weights: Path) -> None:
    # all that the weights call LV is called scar: they see it where the labels name no structure
    check(weights, {0: 0, 1: 1, 2: 2, 3: 4})


def test_structure_that_no_label_names_is_not_missed(weights: Path) -> None:
    check(weights, {0: 0, 1: 0, 2: 2, 3: 3})


def test_weights_that_see_nothing_prove_nothing() -> None:
    confusion = np.array([[90, 0, 0, 0], [10, 0, 0, 0], [10, 0, 0, 0], [10, 0, 0, 0]])
    assert better_order(confusion) == {}


def test_labels_without_structures_prove_nothing() -> None:
    assert better_order(np.diag([10, 0, 0, 0])) == {}


def test_order_is_told_by_label() -> None:
    confusion = np.diag([9, 0, 0, 9])
    confusion[1, 2] = confusion[2, 1] = 9
    assert better_order(confusion) == {Structure.RV: Structure.MYO, Structure.MYO: Structure.RV}


def test_network_trains_on_afterwards(weights: Path) -> None:
    network = SeesItsInput().train()
    engine = SimpleNamespace(state=SimpleNamespace(device=torch.device("cpu")))
    RequireLabelOrder(network, samples({0: 0, 1: 1, 2: 2, 3: 3}), weights)(engine)
    assert network.training


def test_samples_that_come_as_lists_are_compared_too(weights: Path) -> None:
    engine = SimpleNamespace(state=SimpleNamespace(device=torch.device("cpu")))
    listed = [[sample] for sample in samples(SWAPPED)]
    with pytest.raises(InputError, match="see LV where the labels say RV"):
        RequireLabelOrder(SeesItsInput(), listed, weights)(engine)

from __future__ import annotations

import math

import pytest
import torch
from monai.data import MetaTensor

from pipeline.transforms import Uncertainty, Uncertaintyd


def voxel(*probabilities: float) -> torch.Tensor:
    return torch.tensor(probabilities).view(-1, 1, 1, 1)


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ((1.0, 0.0, 0.0, 0.0), 0.0),
        ((0.25, 0.25, 0.25, 0.25), 1.0),
        ((0.5, 0.5, 0.0, 0.0), 0.5),  # log 2 / log 4
        # (0.75 log(4/3) + 0.25 log 4) / log 4
        ((0.75, 0.25, 0.0, 0.0), 0.4056),
        ((0.5, 0.5), 1.0),
        ((0.0, 0.0, 0.0, 0.0), 0.0),
        # what interpolation leaves has another sum: as (0.5, 0.5, 0, 0)
        ((0.4, 0.4, 0.0, 0.0), 0.5),
    ],
)
def test_entropy_is_a_share_of_the_largest(probabilities: tuple[float, ...], expected: float) -> None:
    assert Uncertainty()(voxel(*probabilities)).item() == pytest.approx(expected, abs=1e-4)


def test_each_voxel_has_its_own() -> None:
    both = torch.cat([voxel(1.0, 0.0), voxel(0.5, 0.5)], dim=3)
    assert Uncertainty()(both).flatten().tolist() == pytest.approx([0.0, 1.0])


def test_map_stays_on_its_grid() -> None:
    affine = torch.diag(torch.tensor([1.5, 2.0, 8.0, 1.0]))
    found = Uncertainty()(MetaTensor(voxel(0.5, 0.5), affine=affine))
    assert found.shape == (1, 1, 1, 1)
    assert torch.equal(found.affine, affine)


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="probabilities must be of at least two classes, got 1"):
        Uncertainty()(voxel(1.0))


def test_dictionary_form_adds_the_map_and_keeps_the_probabilities() -> None:
    item = {"pred": voxel(0.9, 0.1)}
    found = Uncertaintyd("pred")(item)
    assert torch.equal(found["pred"], voxel(0.9, 0.1))
    assert found["uncertainty"].dtype == torch.float16
    assert found["uncertainty"].item() == pytest.approx(-(0.9 * math.log2(0.9) + 0.1 * math.log2(0.1)), abs=1e-3)


def test_missing_key_is_passed_over_where_allowed() -> None:
    assert Uncertaintyd("pred", allow_missing_keys=True)({"a": 1}) == {"a": 1}

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

from pipeline.transforms import EnsureVolume, EnsureVolumed

AFFINE = torch.diag(torch.tensor([-1.4, 1.6, 9.0, 1.0], dtype=torch.float64))


def test_picture_becomes_a_volume_of_one_slice() -> None:
    picture = torch.arange(6).view(1, 2, 3)
    volume = EnsureVolume()(picture)
    assert volume.shape == (1, 2, 3, 1)
    assert torch.equal(volume[..., 0], picture)


@pytest.mark.parametrize("alpha", [[], [255.0]])
def test_color_picture_becomes_the_mean_of_its_colors(alpha: list[float]) -> None:
    picture = torch.tensor([10, 20, 60, *alpha], dtype=torch.uint8).view(-1, 1, 1).expand(-1, 2, 3)
    volume = EnsureVolume()(picture)
    assert volume.shape == (1, 2, 3, 1)
    assert torch.all(volume == 30.0)


@pytest.mark.parametrize("shape", [(1, 4, 5, 3), (1, 4, 5, 3, 2)])
def test_volumes_and_cines_pass_unchanged(shape: tuple[int, ...]) -> None:
    volume = torch.zeros(shape)
    assert EnsureVolume()(volume) is volume


def test_grid_of_a_picture_is_kept() -> None:
    volume = EnsureVolume()(MetaTensor(torch.zeros(1, 4, 5), affine=AFFINE))
    assert isinstance(volume, MetaTensor)
    assert torch.equal(volume.affine, AFFINE)


def test_dictionary_form_equals_array_form() -> None:
    item = {"image": torch.rand(3, 4, 5), "label": torch.zeros(1, 4, 5), "case_id": "a"}
    changed = EnsureVolumed(["image", "label"])(item)
    assert torch.equal(changed["image"], EnsureVolume()(item["image"]))
    assert changed["label"].shape == (1, 4, 5, 1)
    assert item["image"].shape == (3, 4, 5)


def test_missing_key_is_passed_over_on_request() -> None:
    assert EnsureVolumed(["image", "label"], allow_missing_keys=True)({"image": torch.zeros(1, 2, 2)}).keys() == {
        "image"
    }

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import Compose

from pipeline.transforms.batch import (
    RandBiasFieldBatch,
    RandBiasFieldBatchd,
    RandBlurBatch,
    RandBlurBatchd,
    RandContrastBatch,
    RandContrastBatchd,
    RandGammaBatch,
    RandGammaBatchd,
    RandNoiseBatch,
    RandNoiseBatchd,
)
from pipeline.transforms.batch.base import RandBatchTransform, RandBatchTransformd, ordered

PAIRS: list[tuple[Callable[..., RandBatchTransform], Callable[..., RandBatchTransformd]]] = [
    (RandBiasFieldBatch, RandBiasFieldBatchd),
    (RandBlurBatch, RandBlurBatchd),
    (RandContrastBatch, RandContrastBatchd),
    (RandGammaBatch, RandGammaBatchd),
    (RandNoiseBatch, RandNoiseBatchd),
]
ARRAYS = [array for array, _ in PAIRS]


class Negate(RandBatchTransform):
    def change(self, image: torch.Tensor) -> torch.Tensor:
        return -image


class Chances(np.random.RandomState):
    """Draws the given numbers."""

    def __init__(self, *numbers: float) -> None:
        super().__init__(0)
        self.numbers = np.array(numbers)

    def random_sample(self, size: Any = None) -> np.ndarray:
        return self.numbers


def images(samples: int = 4) -> torch.Tensor:
    return torch.rand(samples, 1, 12, 10, generator=torch.Generator().manual_seed(0))


def test_only_samples_that_are_drawn_change() -> None:
    transform = Negate(prob=0.5).set_random_state(state=Chances(0.1, 0.9, 0.5, 0.49))
    changed = transform(images())
    assert torch.equal(changed, images() * torch.tensor([-1, 1, 1, -1]).view(4, 1, 1, 1))


@pytest.mark.parametrize("make", ARRAYS)
def test_probability_zero_returns_the_input(make: Callable[..., RandBatchTransform]) -> None:
    assert torch.equal(make(prob=0.0)(images()), images())


@pytest.mark.parametrize("make", ARRAYS)
def test_probability_one_changes_every_sample_and_keeps_the_form(make: Callable[..., RandBatchTransform]) -> None:
    changed = make(prob=1.0).set_random_state(0)(images())
    assert changed.shape == images().shape
    assert changed.dtype == torch.float32
    assert not (changed == images()).flatten(1).all(dim=1).any()


@pytest.mark.parametrize("make", ARRAYS)
def test_samples_change_differently(make: Callable[..., RandBatchTransform]) -> None:
    same = images(1).expand(2, 1, 12, 10)
    first, second = make(prob=1.0).set_random_state(0)(same)
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("make", ARRAYS)
def test_input_is_untouched(make: Callable[..., RandBatchTransform]) -> None:
    before = images()
    make(prob=1.0)(before)
    assert torch.equal(before, images())


@pytest.mark.parametrize("make", ARRAYS)
def test_same_seed_gives_the_same_result(make: Callable[..., RandBatchTransform]) -> None:
    first, second, other = (make(prob=0.9).set_random_state(seed)(images()) for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("make", ARRAYS)
def test_two_channels_are_taken(make: Callable[..., RandBatchTransform]) -> None:
    assert make(prob=1.0)(images().expand(4, 2, 12, 10)).shape == (4, 2, 12, 10)


@pytest.mark.parametrize(("make", "maked"), PAIRS)
def test_dictionary_form_equals_array_form(
    make: Callable[..., RandBatchTransform], maked: Callable[..., RandBatchTransformd]
) -> None:
    batch = {"image": images(), "label": images()}
    changed = maked("image", prob=0.9).set_random_state(3)(batch)
    assert torch.equal(changed["image"], make(prob=0.9).set_random_state(3)(images()))
    assert changed["label"] is batch["label"]
    assert torch.equal(batch["image"], images())


def test_compose_governs_the_random_state() -> None:
    composed = Compose([maked("image", prob=0.9) for _, maked in PAIRS])
    first, second, other = (composed.set_random_state(seed)({"image": images()})["image"] for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_random_numbers_of_torch_are_left_alone() -> None:
    before = torch.get_rng_state()
    for make in ARRAYS:
        make(prob=1.0)(images())
    assert torch.equal(torch.get_rng_state(), before)


def test_missing_key_is_passed_over_on_request() -> None:
    assert RandNoiseBatchd(["image", "pred"], prob=1.0, allow_missing_keys=True)({"image": images()}).keys() == {
        "image"
    }


@pytest.mark.parametrize("prob", [-0.1, 1.1, float("nan")])
def test_probability_outside_of_its_range_is_refused(prob: float) -> None:
    with pytest.raises(ValueError, match=rf"prob must be in \[0, 1\], got {prob}"):
        Negate(prob)


@pytest.mark.parametrize("bounds", [(0.5, 0.4), (-0.1, 1), (1,), (0, 1, 2), (float("nan"), 1)])
def test_range_that_does_not_rise_is_refused(bounds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="std must be two rising numbers of at least 0, got"):
        ordered("std", bounds, low=0)  # type: ignore[arg-type]


def test_range_may_come_as_a_list_and_be_a_point() -> None:
    assert ordered("std", [1, 1], low=0) == (1.0, 1.0)

from __future__ import annotations

from typing import Any

import pytest
import torch

from pipeline.transforms.batch import RandNeighborsBatch, RandNeighborsBatchd

STILL: dict[str, Any] = {"prob": 0.0, "drop_prob": 0.0, "swap_prob": 0.0}
BATCH = torch.rand(6, 3, 8, 9, generator=torch.Generator().manual_seed(0))


def changed(**settings: Any) -> torch.Tensor:
    return RandNeighborsBatch(**STILL | settings).set_random_state(0)(BATCH)


def test_without_change_the_batch_stays() -> None:
    assert torch.equal(changed(), BATCH)


def test_order_is_reversed() -> None:
    assert torch.equal(changed(swap_prob=1.0), BATCH.flip(1))


def test_dropped_neighbors_become_the_slice_itself() -> None:
    assert torch.equal(changed(drop_prob=1.0), BATCH[:, 1:2].expand(-1, 3, -1, -1))


def test_moved_neighbors_keep_their_values_and_the_slice_its_place() -> None:
    moved = changed(prob=1.0, shift=3)
    assert torch.equal(moved[:, 1], BATCH[:, 1])
    assert not torch.equal(moved[:, 0], BATCH[:, 0])
    assert torch.equal(moved[:, 0].flatten(1).sort().values, BATCH[:, 0].flatten(1).sort().values)


def test_input_is_untouched() -> None:
    before = BATCH.clone()
    changed(prob=1.0, drop_prob=0.5, swap_prob=0.5)
    assert torch.equal(BATCH, before)


def test_dictionary_form_is_the_same() -> None:
    transform = RandNeighborsBatchd("image", prob=1.0).set_random_state(5)
    assert torch.equal(transform({"image": BATCH})["image"], RandNeighborsBatch(prob=1.0).set_random_state(5)(BATCH))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"drop_prob": 2}, r"drop_prob must be in \[0, 1\], got 2"),
        ({"swap_prob": -1}, r"swap_prob must be in \[0, 1\], got -1"),
        ({"shift": -1}, "shift must not be negative, got -1"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandNeighborsBatch(**settings)

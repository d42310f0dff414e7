from __future__ import annotations

import pytest
import torch

from pipeline.transforms import neighbor_slices

STACK = torch.tensor([10.0, 20.0, 30.0]).expand(2, 1, 4, 5, 3)


def test_slices_above_and_below_become_channels() -> None:
    seen = neighbor_slices(STACK, 1)
    assert seen.shape == (2, 3, 4, 5, 3)
    assert seen[0, :, 0, 0, 1].tolist() == [10, 20, 30]


def test_last_slice_stands_in_beyond_the_ends() -> None:
    seen = neighbor_slices(STACK, 2)[0, :, 0, 0]
    assert seen[:, 0].tolist() == [10, 10, 10, 20, 30]
    assert seen[:, 2].tolist() == [10, 20, 30, 30, 30]


def test_stack_of_one_slice_is_its_own_neighbor() -> None:
    assert neighbor_slices(STACK[..., :1], 1)[0, :, 0, 0, 0].tolist() == [10, 10, 10]


def test_without_neighbors_the_stack_passes() -> None:
    assert neighbor_slices(STACK, 0) is STACK


def test_negative_number_is_refused() -> None:
    with pytest.raises(ValueError, match="neighbors must not be negative, got -1"):
        neighbor_slices(STACK, -1)

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.errors import InputError
from pipeline.inference.backends.equality import first_line, largest_difference, require_fitting


def test_difference_of_equal_logits_is_zero(network: nn.Module) -> None:
    assert largest_difference(network, network) == 0


def test_largest_difference_of_any_logit_counts(network: nn.Module) -> None:
    def off(x: torch.Tensor) -> torch.Tensor:
        logits = network(x)
        logits[-1, -1, -1, -1] -= 0.25 if len(x) == 3 else 0.125
        return logits

    assert largest_difference(off, network) == pytest.approx(0.25, abs=1e-6)


def test_nan_is_no_equality(network: nn.Module) -> None:
    assert math.isnan(largest_difference(lambda x: network(x) * torch.nan, network))


def test_network_fits_itself(network: nn.Module) -> None:
    require_fitting(network, network, Path("model.ts"))


def test_file_of_one_size_is_refused(network: nn.Module) -> None:
    def fixed(x: torch.Tensor) -> torch.Tensor:
        if len(x) != 2:
            raise RuntimeError("Expected 2 images.\nMore.")
        return network(x)

    with pytest.raises(
        InputError, match=r"model.onnx does not take .* \(3, 1, 10, 12\), .*: RuntimeError: Expected 2 images"
    ):
        require_fitting(fixed, network, Path("model.onnx"))


def test_file_with_other_classes_is_refused(network: nn.Module) -> None:
    with pytest.raises(InputError, match=r"gives maps of shape \(2, 3, 8, 8\) where network_def gives \(2, 4, 8, 8\)"):
        require_fitting(lambda x: network(x)[:, :3], network, Path("model.ts"))


def test_long_complaints_are_cut() -> None:
    assert first_line(RuntimeError("no\n  such\n  graph")) == "RuntimeError: no."
    assert len(first_line(ValueError("x" * 900))) == 213

from __future__ import annotations

import pytest
import torch

from pipeline.inference.views import mean_over_views

WINDOWS = torch.rand(2, 1, 6, 4, generator=torch.Generator().manual_seed(0))


def pointwise(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([0.5 - x, x - 0.5, 2 * x], dim=1)


@pytest.mark.parametrize("views", [4, 8])
def test_views_turn_back_to_where_they_came_from(views: int) -> None:
    mean = mean_over_views(WINDOWS, pointwise, views)
    torch.testing.assert_close(mean.softmax(dim=1), pointwise(WINDOWS).softmax(dim=1))


@pytest.mark.parametrize(("views", "seen"), [(1, 1), (4, 4), (8, 8)])
def test_all_views_are_different(views: int, seen: int) -> None:
    inputs: list[bytes] = []

    def remember(x: torch.Tensor) -> torch.Tensor:
        inputs.append(bytes(str(x.tolist()), "ascii"))
        return pointwise(x)

    mean_over_views(WINDOWS, remember, views)
    assert len(set(inputs)) == seen


def test_probabilities_are_averaged() -> None:
    # the class of the corner pixel flips with the view: it is 1 in one of four views
    def corner(x: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(*x.shape[:1], 2, *x.shape[2:])
        logits[:, 0] = 50.0
        logits[:, :, 0, 0] = torch.tensor([-50.0, 50.0])
        return logits

    mean = mean_over_views(torch.zeros(1, 1, 4, 4), corner, 4).softmax(dim=1)
    corners = [float(mean[0, 1, row, column]) for row in (0, 3) for column in (0, 3)]
    assert corners == pytest.approx([0.25] * 4, abs=1e-6)


def test_other_number_of_views_is_refused() -> None:
    with pytest.raises(ValueError, match=r"views must be one of \(1, 4, 8\), got 3"):
        mean_over_views(WINDOWS, pointwise, 3)

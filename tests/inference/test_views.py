from __future__ import annotations

import pytest
import torch

from pipeline.inference.views import mean_over_views, turned_by

WINDOWS = torch.rand(2, 1, 6, 4, generator=torch.Generator().manual_seed(0))
QUARTERS = [0, 90, 180, 270]


def pointwise(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([0.5 - x, x - 0.5, 2 * x], dim=1)


def blob(x: float, y: float) -> torch.Tensor:
    """A smooth spot at a place in mm from the center of 41 x 31 pixels."""
    rows, columns = torch.meshgrid(torch.arange(41.0) - 20, torch.arange(31.0) - 15, indexing="ij")
    return torch.exp(-((rows - x) ** 2 + (columns - y) ** 2) / 8)[None, None]


def test_quarter_turns_come_back_to_where_they_were() -> None:
    mean = mean_over_views(WINDOWS, pointwise, QUARTERS)
    torch.testing.assert_close(mean.softmax(dim=1), pointwise(WINDOWS).softmax(dim=1))


@pytest.mark.parametrize("degrees", [[0, 10, -10], QUARTERS, [5]])
def test_network_sees_each_view(degrees: list[float]) -> None:
    inputs: list[str] = []

    def remember(x: torch.Tensor) -> torch.Tensor:
        inputs.append(str(x.tolist()))
        return pointwise(x)

    mean_over_views(WINDOWS, remember, degrees)
    assert len(set(inputs)) == len(degrees)


def test_the_window_alone_gives_the_networks_own_logits() -> None:
    assert torch.equal(mean_over_views(WINDOWS, pointwise, [0]), pointwise(WINDOWS))


@pytest.mark.parametrize(("degrees", "place"), [(90.0, (0, 10)), (30.0, (8.66, 5)), (-30.0, (8.66, -5))])
def test_turning_is_from_x_toward_y_whatever_the_sizes(degrees: float, place: tuple[float, float]) -> None:
    turned = turned_by(blob(10, 0), degrees)
    if degrees == 90:  # X and Y have exchanged their sizes
        turned = turned[:, :, :, 5:-5]
        turned = torch.nn.functional.pad(turned, (0, 0, 5, 5))
    assert float((turned - blob(*place)).abs().max()) < 0.08


def test_turning_back_gives_the_image() -> None:
    there_and_back = turned_by(turned_by(blob(4, 3), 17.0), -17.0)
    assert float((there_and_back - blob(4, 3)).abs().max()) < 0.1


def test_probabilities_are_averaged() -> None:
    # the class of the corner pixel flips with the view: it is 1 in one of four views
    def corner(x: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(*x.shape[:1], 2, *x.shape[2:])
        logits[:, 0] = 50.0
        logits[:, :, 0, 0] = torch.tensor([-50.0, 50.0])
        return logits

    mean = mean_over_views(torch.zeros(1, 1, 4, 4), corner, QUARTERS).softmax(dim=1)
    corners = [float(mean[0, 1, row, column]) for row in (0, 3) for column in (0, 3)]
    assert corners == pytest.approx([0.25] * 4, abs=1e-6)


def test_no_view_is_refused() -> None:
    with pytest.raises(ValueError, match="degrees must have the angle of at least one view"):
        mean_over_views(WINDOWS, pointwise, [])

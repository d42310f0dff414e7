from __future__ import annotations

from typing import Any

import pytest
import torch

from pipeline.inference.heart_finder import CLOSER_LOOKS, expected_of_structures
from pipeline.inference.heart_view import Appearance
from pipeline.inference.heart_window import HeartWindowInferer
from pipeline.inference.tones import TONES

LEVELS = torch.tensor([0.0, 0.5, 0.75, 1.0])  # background, RV, MYO, LV
OTHER_ORIENTATIONS = 7
OTHERS = OTHER_ORIENTATIONS + len(TONES)


class KnowsDarkBackground(torch.nn.Module):
    """Labels by brightness, surely at the levels; sees nothing in images that are mostly bright."""

    def __init__(self, sharpness: float = 1000.0) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.calls = 0
        self.corner = torch.nan

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.corner = float(x[0, 0, 0, 0])
        known = (x.flatten(1).median(dim=1).values < 0.1).view(-1, 1, 1, 1)
        return -self.sharpness * (x - LEVELS.view(1, 4, 1, 1)).square() * known


class KnowsOneOrientation(torch.nn.Module):
    """Labels by brightness where the RV lies at lower x, a little less lower y of the LV; else sees nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rv, lv = ((x[:, 0] == level).nonzero()[:, 1:].float().mean(dim=0) for level in (LEVELS[1], LEVELS[3]))
        dx, dy = (rv - lv).tolist()
        return -1000.0 * (x - LEVELS.view(1, 4, 1, 1)).square() * (dx < dy < 0)


def heart() -> torch.Tensor:
    """Labels of a heart in two slices, from the LV to the RV -11 pixels along x and -3 along y."""
    labels = torch.zeros(1, 48, 40, 2, dtype=torch.long)
    labels[:, 12:18, 14:20] = 1
    labels[:, 20:32, 14:26] = 2
    labels[:, 23:29, 17:23] = 3
    return labels


def image() -> torch.Tensor:
    return LEVELS[heart()][:, None]


def inferer(min_confidence: float = 0.75, rv_direction: float | None = 180.0) -> HeartWindowInferer:
    return HeartWindowInferer(
        -1, (16, 16), sw_batch_size=8, margin=4, rv_direction=rv_direction, min_confidence=min_confidence
    )


@pytest.mark.parametrize("settings", [{}, {"find_scale": 0.8}, {"find_slices": 1}, {"roi_size": 32, "overlap": 0.5}])
def test_inverted_heart_is_predicted_in_the_contrast_that_the_network_knows(settings: dict[str, Any]) -> None:
    finder = HeartWindowInferer(
        **{"roi_size": -1, "heart_size": (16, 16), "margin": 4, "min_confidence": 0.75} | settings
    )
    assert torch.equal(finder(1 - image(), KnowsDarkBackground()).argmax(dim=1), heart())


def test_heart_that_is_lost_at_low_resolution_is_found_at_the_full_one() -> None:
    sizes = []

    def network(x: torch.Tensor) -> torch.Tensor:
        sizes.append(tuple(x.shape[2:]))
        sharpness = 0.0 if len(sizes) <= 2 else 1000.0
        return -sharpness * (x - LEVELS.view(1, 4, 1, 1)).square()

    finder = HeartWindowInferer(-1, (16, 16), sw_batch_size=8, margin=4, find_scale=0.5, min_confidence=0.75)
    assert finder.decide(image(), network).flags == ()
    # the LV with its wall has 12 x 12 pixels and a margin of 4 to either side, in steps of 8
    assert sizes == [(24, 24), (24, 24), (48, 40), (24, 24)]


def test_contrast_is_that_of_all_phases() -> None:
    phases = torch.cat([1 - image()] * 4)
    finder = HeartWindowInferer(-1, (16, 16), margin=4, find_phases=2, min_confidence=0.75)
    assert torch.equal(finder(phases, KnowsDarkBackground()).argmax(dim=1), torch.cat([heart()] * 4))


def test_without_other_contrasts_it_is_missed() -> None:
    assert not inferer(min_confidence=0.0)(1 - image(), KnowsDarkBackground()).argmax(dim=1).any()


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_heart_in_any_orientation_is_predicted_by_a_network_that_knows_one(mirrored: bool, turns: int) -> None:
    seen, expected = image().rot90(turns, (2, 3)), heart().rot90(turns, (1, 2))
    if mirrored:
        seen, expected = seen.flip(2), expected.flip(1)
    predicted = inferer(rv_direction=None)(seen, KnowsOneOrientation())
    assert torch.equal(predicted.argmax(dim=1), expected)


@pytest.mark.parametrize(
    ("scan", "looks"),
    [
        (image(), 1),
        (1 - image(), 3),  # nothing is found in it as it is, and so no window to look closer at
        # in the upper half of the range only two contrasts show something to look closer at
        ((1 + image()) / 2, 2 + OTHERS + 2),
    ],
)
def test_only_a_heart_that_is_hardly_known_is_looked_at_again(scan: torch.Tensor, looks: int) -> None:
    network = KnowsDarkBackground()
    inferer().decide(scan, network)
    assert network.calls == looks


class KnowsSmallWindows(torch.nn.Module):
    """Labels by brightness, unsure in windows as large as the whole slice, but where that is turned by 90 degrees.

    With ``small`` off it is unsure in small windows too.
    """

    def __init__(self, small: bool = True) -> None:
        super().__init__()
        self.small = small
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        whole, turned = max(x.shape[2:]) == 48, x.shape[2] < x.shape[3]
        sure = turned if whole else self.small and not turned
        return -(1000.0 if sure else 20.0) * (x - LEVELS.view(1, 4, 1, 1)).square()


def test_heart_that_a_closer_look_knows_is_shown_as_it_is() -> None:
    network = KnowsSmallWindows()
    decided = inferer().decide(image(), network)
    assert network.calls == 3  # also inverted, and closer
    assert decided.view is not None and decided.view.shown == Appearance()


def test_orientation_that_a_closer_look_does_not_confirm_is_not_taken() -> None:
    network = KnowsSmallWindows(small=False)
    decided = inferer().decide(image(), network)
    assert network.calls == 3 + OTHERS + CLOSER_LOOKS
    assert decided.view is not None and decided.view.shown == Appearance()
    assert [flag.code for flag in decided.flags] == ["heart_hardly_known"]


def test_right_ventricle_that_is_only_half_seen_elsewhere_is_not_believed() -> None:
    """As at the apex: the network knows the heart, which has no RV, and sees half of one where it is turned."""
    without_rv = image().where(image() != LEVELS[1], 0.0)

    def network(x: torch.Tensor) -> torch.Tensor:
        logits = -1000.0 * (x - LEVELS.view(1, 4, 1, 1)).square()
        if x.shape[2] < x.shape[3]:  # turned by 90 degrees
            # around the myocardium, at 0.6: it expects a Dice of 2 * 0.6 / (1 + 0.6) = 0.75
            around = (torch.nn.functional.max_pool2d(x, 3, 1, 1) > 0)[:, 0] & (x[:, 0] == 0)
            logits[:, 1][around], logits[:, 0][around] = torch.logit(torch.tensor(0.6)), 0.0
        return logits

    # windows of 32 x 24, so that the network tells turned ones
    decided = HeartWindowInferer(-1, (32, 16), margin=4, min_confidence=0.75).decide(without_rv, network)
    assert decided.view is not None and decided.view.shown == Appearance()
    assert [flag.code for flag in decided.flags] == ["heart_hardly_known"]


def test_inverted_slices_that_a_closer_look_does_not_know_better_are_not_taken() -> None:
    def network(x: torch.Tensor) -> torch.Tensor:
        inverted, whole = x[0, 0, 0, 0] > 0.5, x.shape[2] == 48
        sharpness = 1000.0 if inverted == whole else 20.0
        return -sharpness * ((1 - x if inverted else x) - LEVELS.view(1, 4, 1, 1)).square()

    decided = inferer().decide(image(), network)
    assert decided.view is not None and decided.view.shown == Appearance()


def test_inverted_slices_that_hardly_show_a_heart_are_not_taken() -> None:
    def network(x: torch.Tensor) -> torch.Tensor:
        dark = x[:, 0] < 0.1
        return 9.0 * torch.stack([dark, x[:, 0] < -1, x[:, 0] < -1, ~dark], dim=1) * (x.median() < 0.1)

    # of the inverted image it knows the LV alone
    assert inferer().decide(1 - image(), network).view is None


def test_inverted_slices_whose_structures_are_unsure_are_not_taken() -> None:
    assert inferer().decide(1 - image(), KnowsDarkBackground(sharpness=10.0)).view is None


def test_heart_is_shown_as_it_is_where_nothing_else_is_better() -> None:
    # between the levels the network is unsure, and the other contrasts move the levels together
    network = KnowsDarkBackground(sharpness=10.0)
    decided = inferer().decide(image(), network)
    assert network.calls == 3 + OTHERS + CLOSER_LOOKS
    assert decided.view is not None and decided.view.shown == Appearance()


def test_contrast_and_turn_are_found_together_and_told() -> None:
    seen = 1 - image().rot90(2, (2, 3))
    decided = inferer().decide(seen, KnowsDarkBackground())
    assert [flag.code for flag in decided.flags] == ["orientation_unlike_training", "contrast_unlike_training"]
    predicted = decided(seen, KnowsDarkBackground())
    assert torch.equal(predicted.argmax(dim=1), heart().rot90(2, (1, 2)))


def test_orientation_found_by_trying_all_is_not_turned_again_by_the_right_ventricle() -> None:
    upright = KnowsOneOrientation()

    def knows_all_but_one(x: torch.Tensor) -> torch.Tensor:
        return -1000.0 * (x - LEVELS.view(1, 4, 1, 1)).square() * (not upright(x).any())

    # the RV of the scan lies at 195 degrees, half a turn from where it is wanted
    decided = inferer(rv_direction=15.0).decide(image(), knows_all_but_one)
    assert decided.view is not None and decided.view.shown == Appearance(turns=1)


def test_border_around_a_small_slice_stays_dark() -> None:
    network = KnowsDarkBackground()
    predicted = HeartWindowInferer(-1, (56, 56), min_confidence=0.75)(1 - image(), network)
    assert torch.equal(predicted.argmax(dim=1), heart())
    assert network.corner == 0.0


def test_further_labels_do_not_say_how_well_a_heart_is_known() -> None:
    logits = torch.full((1, 5, 4, 1), -20.0)
    logits[0, [0, 1, 2, 3], [0, 1, 2, 3]] = 20.0  # nowhere the class 4
    assert expected_of_structures(logits) == pytest.approx([1.0, 1.0, 1.0])

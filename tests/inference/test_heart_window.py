from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.data import MetaTensor

from pipeline.inference.heart_window import HeartWindowInferer, has_all_structures


class BrightIsHeart(torch.nn.Module):
    """Logits of two classes that follow the brightness; remembers the sizes it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(tuple(x.shape[2:]))
        return torch.cat([0.5 - x, x - 0.5], dim=1)


def stack(size: tuple[int, int] = (60, 50), heart: tuple[int, int] = (30, 20), volumes: int = 1) -> torch.Tensor:
    image = torch.zeros(volumes, 1, *size, 3)
    image[:, :, heart[0] : heart[0] + 10, heart[1] : heart[1] + 8] = 1.0
    return image


def test_second_pass_sees_a_window_around_the_heart() -> None:
    network = BrightIsHeart()
    HeartWindowInferer(-1, (16, 16), sw_batch_size=8, margin=4)(stack(), network)
    # 10 + 2 * 4 = 18 and 8 + 2 * 4 = 16, rounded up to multiples of 8
    assert network.sizes == [(64, 56), (24, 16)]


def test_classes_equal_those_of_the_whole_slice_for_a_network_without_context() -> None:
    image = stack()
    whole = BrightIsHeart()(image[..., 1]).argmax(dim=1)
    assert torch.equal(HeartWindowInferer(-1, (16, 16))(image, BrightIsHeart())[..., 1].argmax(dim=1), whole)


def test_outside_of_the_window_is_background() -> None:
    predicted = HeartWindowInferer(-1, (16, 16), margin=4)(stack(), BrightIsHeart())
    known = (predicted[0, 0, :, :, 0] == 10.0).nonzero()
    window = (predicted[0, 0, :, :, 0] != 10.0).nonzero()
    # centers (30 + 40) / 2 = 35 and (20 + 28) / 2 = 24; 24 and 16 pixels around them
    assert window.min(dim=0).values.tolist() == [23, 16]
    assert window.max(dim=0).values.tolist() == [46, 31]
    assert len(known) == 60 * 50 - 24 * 16


def test_heart_is_found_at_half_the_resolution() -> None:
    network = BrightIsHeart()
    HeartWindowInferer(-1, (16, 16), sw_batch_size=8, margin=4, find_scale=0.5)(stack(), network)
    assert network.sizes[0] == (32, 32)
    assert network.sizes[1:] == [(24, 16)]


def test_heart_is_found_in_some_slices_and_phases() -> None:
    seen: list[int] = []

    def network(x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        return torch.cat([0.5 - x, x - 0.5], dim=1)

    HeartWindowInferer(-1, (16, 16), sw_batch_size=99, find_slices=2, find_phases=3)(stack(volumes=5), network)
    assert seen == [2 * 3, 5 * 3]


def test_window_that_cuts_the_heart_grows() -> None:
    image = stack((96, 96), heart=(40, 40))
    # the slice that is not looked at has a larger heart
    image[:, :, 20:76, 40:48, 0] = 1.0
    predicted = HeartWindowInferer(-1, (32, 32), margin=4, find_slices=1)(image, BrightIsHeart())
    assert torch.equal(predicted.argmax(dim=1)[0], image[0, 0].long())


def two_hearts() -> torch.Tensor:
    """Two phases; the heart of the second reaches further than the window that is found in the first."""
    image = stack((96, 96), heart=(40, 40), volumes=2)
    image[1, :, 20:76, 40:48, 0] = 1.0
    return image


def test_only_the_phase_that_is_cut_gets_a_larger_window() -> None:
    network = BrightIsHeart()
    inferer = HeartWindowInferer(-1, (32, 32), sw_batch_size=8, margin=4, find_slices=1, find_phases=1)
    predicted = inferer.decide(two_hearts()[:1], network)(two_hearts(), network)
    # found in one slice of the first phase; both phases in its window; the second again until it fits
    assert network.sizes[:2] == [(96, 96), (32, 32)]
    assert network.sizes[2] > (32, 32)
    assert torch.equal(predicted.argmax(dim=1), two_hearts()[:, 0].long())


def test_prediction_of_a_phase_does_not_depend_on_the_others() -> None:
    inferer = HeartWindowInferer(-1, (32, 32), margin=4, find_slices=1)
    decided = inferer.decide(two_hearts()[:1], BrightIsHeart())
    apart = [decided(phase[None], BrightIsHeart()) for phase in two_hearts()]
    torch.testing.assert_close(torch.cat(apart), decided(two_hearts(), BrightIsHeart()), rtol=0, atol=0)


def test_window_of_a_study_is_that_of_all_its_phases_at_once() -> None:
    image = stack(volumes=5)
    inferer = HeartWindowInferer(-1, (16, 16), margin=4, find_phases=3)
    decided = inferer.decide(image[inferer.deciding_phases(5)], BrightIsHeart())
    groups = [decided(image[:2], BrightIsHeart()), decided(image[2:], BrightIsHeart())]
    torch.testing.assert_close(torch.cat(groups), inferer(image, BrightIsHeart()), rtol=0, atol=0)


def test_without_a_heart_the_whole_slices_are_predicted() -> None:
    network = BrightIsHeart()
    HeartWindowInferer(-1, (16, 16), sw_batch_size=8)(torch.zeros(1, 1, 40, 40, 3), network)
    assert network.sizes == [(40, 40), (40, 40)]


def test_slice_smaller_than_the_window_is_padded_and_cut_back() -> None:
    network = BrightIsHeart()
    predicted = HeartWindowInferer(-1, (64, 64), sw_batch_size=8)(stack((40, 30), heart=(15, 10)), network)
    assert network.sizes == [(64, 64), (64, 64)]
    assert predicted.shape == (1, 2, 40, 30, 3)


def test_metadata_stays() -> None:
    image = MetaTensor(stack(), affine=torch.diag(torch.tensor([1.5, 1.5, 8.0, 1.0])))
    predicted = HeartWindowInferer(-1, (16, 16))(image, BrightIsHeart())
    torch.testing.assert_close(predicted.affine, image.affine)


def test_window_stays_inside_the_slice() -> None:
    network = BrightIsHeart()
    predicted = HeartWindowInferer(-1, (16, 16), sw_batch_size=8, margin=2)(stack((40, 40), heart=(0, 32)), network)
    assert network.sizes == [(40, 40), (16, 16)]
    assert predicted.argmax(dim=1)[0, :, :, 0].sum() == 80


def test_heart_is_found_by_sliding_windows_in_a_large_slice() -> None:
    network = BrightIsHeart()
    predicted = HeartWindowInferer((32, 32), (16, 16), sw_batch_size=64, overlap=0.0, margin=4)(stack(), network)
    assert network.sizes == [(32, 32), (24, 16)]
    assert predicted.shape == (1, 2, 60, 50, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heart_size": -1}, r"heart_size must be positive, got \(-1, -1\)"),
        ({"margin": -1}, "margin must not be negative, got -1"),
        ({"find_scale": 0.0}, "find_scale must be above 0 and at most 1, got 0.0"),
        ({"find_slices": 0}, "find_slices must be at least 1 or None, got 0"),
        ({"find_phases": 0}, "find_phases must be at least 1 or None, got 0"),
        ({"min_confidence": 1.5}, "min_confidence must be from 0 to 1, got 1.5"),
        ({"view_degrees": []}, "view_degrees must have the angle of at least one view, such as 0, got none"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HeartWindowInferer(64, **{"heart_size": 16} | settings)


def test_volume_without_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"inputs must be stacks of shape \(N, C, X, Y, Z\), got \(1, 40, 40, 3\)"):
        HeartWindowInferer(-1, 16)(torch.zeros(1, 40, 40, 3), BrightIsHeart())


class Upright(torch.nn.Module):
    """Labels a heart by brightness (1 RV, 2 MYO, 3 LV); counts the windows in which the RV is not at lower x."""

    def __init__(self, blind: bool = False) -> None:
        super().__init__()
        self.blind = blind
        self.turned = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        labels = x[:, 0].round().long()
        rv, lv = (labels == 1).nonzero(), (labels == 3).nonzero()
        if len(rv) and len(lv) and not rv[:, 1].float().mean() < lv[:, 1].float().mean() - 3:
            self.turned += 1
        if self.blind and len(rv) and rv[:, 1].float().mean() < lv[:, 1].float().mean() - 3:
            labels = labels * 0
        return 20 * torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).float()


def upright_heart() -> torch.Tensor:
    """RV at lower x: its direction is 180 degrees."""
    image = torch.zeros(1, 1, 48, 40, 2)
    image[:, :, 12:18, 16:24] = 1
    image[:, :, 20:32, 14:26] = 2
    image[:, :, 23:29, 17:23] = 3
    return image


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_turned_heart_is_predicted_upright_and_turned_back(turns: int) -> None:
    image = upright_heart().rot90(turns, (2, 3))
    network = Upright()
    inferer = HeartWindowInferer(-1, (16, 16), margin=4, rv_direction=180.0, direction_tolerance=60.0)
    assert torch.equal(inferer(image, network).argmax(dim=1), image[:, 0].long())
    # only the first coarse look, of one batch a slice, sees it turned
    assert network.turned == (2 if turns else 0)


def test_heart_stays_as_it_lies_where_a_second_look_does_not_confirm_the_turn() -> None:
    image = upright_heart().rot90(2, (2, 3))
    inferer = HeartWindowInferer(-1, (16, 16), margin=4, rv_direction=180.0, direction_tolerance=60.0)
    # the network sees nothing in upright hearts, so that the turned look finds no direction
    assert torch.equal(inferer(image, Upright(blind=True)).argmax(dim=1), image[:, 0].long())


def test_turn_is_decided_once_for_the_phases_of_a_study() -> None:
    image = upright_heart().rot90(1, (2, 3))
    network = Upright()
    inferer = HeartWindowInferer(-1, (16, 16), margin=4, rv_direction=180.0, direction_tolerance=60.0)
    decided = inferer.decide(image, network)
    seen = network.turned
    assert torch.equal(decided(image, network).argmax(dim=1), image[:, 0].long())
    assert network.turned == seen


def test_tolerance_below_half_a_quarter_turn_is_refused() -> None:
    with pytest.raises(ValueError, match="direction_tolerance must be from 45 to 180 degrees, got 30"):
        HeartWindowInferer(-1, 16, direction_tolerance=30)


def levels(x: torch.Tensor) -> torch.Tensor:
    """Logits of three classes: the brightness is 0, 1 or 2."""
    return torch.cat([-(x - level).square() for level in range(3)], dim=1)


def test_something_else_than_the_heart_in_the_window_is_noticed() -> None:
    image = torch.zeros(1, 1, 96, 96, 3)
    # in the slice that is looked at: a piece of one class, far from the heart
    image[..., 8:14, 8:14, 1] = 1.0
    image[..., 60:80, 60:80, 0] = 1.0
    image[..., 65:75, 65:75, 0] = 2.0
    predicted = HeartWindowInferer(-1, (32, 32), margin=4, find_slices=1)(image, levels)
    assert torch.equal(predicted.argmax(dim=1), image[:, 0].long())


@pytest.mark.parametrize(("brightest", "found"), [(2.0, True), (1.0, False)])
def test_structure_that_is_nowhere_is_missed(brightest: float, found: bool) -> None:
    image = torch.zeros(1, 1, 4, 4, 2)
    image[..., 0, 0, 1], image[..., 1, 1, 1] = 1.0, brightest
    logits = torch.stack([levels(image[..., z]) for z in range(2)], dim=-1)
    assert has_all_structures(logits) is found


def test_heart_without_a_further_label_is_whole() -> None:
    logits = torch.zeros(1, 5, 4, 1, 1)
    logits[0, [0, 1, 2, 3], [0, 1, 2, 3]] = 1.0  # nowhere the class 4
    assert has_all_structures(logits)

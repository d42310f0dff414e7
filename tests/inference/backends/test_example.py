from __future__ import annotations

import torch
from torch import nn

from pipeline.inference.backends.example import example_images
from pipeline.networks import ASPPNet, MeanEnsemble


def shapes(network: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(image.shape) for image in example_images(network)]


def test_sizes_fit_what_the_network_needs(network: nn.Module) -> None:
    # at least 5 pixels in multiples of twice the stride 2: 8, and one or two strides more
    assert shapes(network) == [(2, 1, 8, 8), (3, 1, 10, 12)]


def test_network_of_the_bundle_gets_its_neighbors_as_channels() -> None:
    assert shapes(ASPPNet(in_channels=3)) == [(2, 3, 80, 80), (3, 3, 88, 96)]


def test_volumes_for_a_network_of_volumes() -> None:
    thick = ASPPNet(3, channels=(4, 6), strides=(1, (2, 2, 1)), num_res_units=(1, 1), dilations=(1, 2))
    assert shapes(thick) == [(2, 1, 8, 8, 2), (3, 1, 10, 12, 5)]


def test_ensemble_gets_what_its_members_need(network: nn.Module) -> None:
    assert shapes(MeanEnsemble([network])) == shapes(network)


def test_network_that_tells_nothing_gets_multiples_of_32() -> None:
    assert shapes(nn.Conv2d(2, 1, 3)) == [(2, 2, 64, 64), (3, 2, 96, 128)]


def test_images_are_the_same_each_time(network: nn.Module) -> None:
    torch.manual_seed(1)
    first = example_images(network)
    torch.manual_seed(2)
    assert all(torch.equal(*pair) for pair in zip(first, example_images(network), strict=True))


def test_random_numbers_of_the_run_are_left_alone(network: nn.Module) -> None:
    before = torch.get_rng_state()
    example_images(network)
    assert torch.equal(torch.get_rng_state(), before)

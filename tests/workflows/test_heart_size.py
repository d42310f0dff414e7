from __future__ import annotations

import torch
from monai.networks.nets import UNet

from pipeline.networks import ASPPNet
from pipeline.workflows import heart_size


def test_window_is_seven_eighths_of_that_of_the_training() -> None:
    assert heart_size([128, 96], ASPPNet(2, 1, 4)) == [112, 84]


def test_window_is_as_large_as_the_network_asks_for() -> None:
    network = ASPPNet(2, 1, 4).eval()  # 73 pixels: dilation 9 at a stride of 8, and one more
    assert heart_size([80, 73], network) == [73, 73]
    assert network(torch.zeros(1, 1, 73, 73)).shape == (1, 4, 73, 73)


def test_network_that_tells_no_smallest_size() -> None:
    assert heart_size([16, 32], UNet(2, 1, 4, (8, 8), (2,))) == [14, 28]

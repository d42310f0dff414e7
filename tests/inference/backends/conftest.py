"""A small network with weights and statistics as a training leaves them: none is 0 or 1."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline.networks import ASPPNet

# PyTorch for macOS comes without oneDNN, and so without the operators that test_fusing.py is about
collect_ignore = [] if torch.backends.mkldnn.is_available() else ["test_fusing.py"]


@pytest.fixture(scope="session")
def network() -> nn.Module:
    """Two stages of 4 and 6 channels in channels-last order; images of at least 5 pixels along each axis."""
    torch.manual_seed(0)
    net = ASPPNet(channels=(4, 6), strides=(1, 2), num_res_units=(1, 1), dilations=(1, 2), dropout=0.5)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.uniform_(layer.bias, -1, 1)
            nn.init.uniform_(layer.running_mean, -1, 1)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    return net.to(memory_format=torch.channels_last).eval()


@pytest.fixture(params=[(1, 9, 13), (4, 16, 8), (2, 31, 6)], ids=str)
def images(request: pytest.FixtureRequest) -> torch.Tensor:
    """Batches of other numbers and sizes than those that networks are exported with."""
    number, *size = request.param
    return torch.rand(number, 1, *size)

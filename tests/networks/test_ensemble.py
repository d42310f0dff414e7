from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline.networks import ASPPNet, MeanEnsemble


class Says(nn.Module):
    """Gives every position the same probabilities."""

    def __init__(self, *probabilities: float) -> None:
        super().__init__()
        self.logits = torch.tensor(probabilities).log()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits.view(1, -1, 1, 1).expand(len(x), -1, *x.shape[2:])


def test_softmax_of_the_output_is_the_mean_of_the_probabilities() -> None:
    ensemble = MeanEnsemble([Says(0.9, 0.1), Says(0.2, 0.8), Says(0.1, 0.9)])
    probabilities = ensemble(torch.zeros(1, 1, 2, 3)).softmax(dim=1)
    assert torch.allclose(probabilities[0, :, 1, 2], torch.tensor([0.4, 0.6]))


def test_output_is_normalized() -> None:
    logs = MeanEnsemble([Says(0.9, 0.1), Says(0.5, 0.5)])(torch.zeros(1, 1, 1, 1))
    assert logs.exp().sum().item() == pytest.approx(1.0)


def test_one_sure_member_does_not_overrule_two_others() -> None:
    ensemble = MeanEnsemble([Says(1 - 1e-6, 1e-6), Says(0.4, 0.6), Says(0.3, 0.7)])
    assert ensemble(torch.zeros(1, 1, 1, 1)).softmax(dim=1)[0, 0].item() == pytest.approx(1.7 / 3, abs=1e-5)


def test_ensemble_of_one_predicts_as_its_member() -> None:
    network = ASPPNet(channels=(4, 6), strides=(1, 2), num_res_units=(1, 1), dilations=(1,)).eval()
    x = torch.rand(2, 1, 16, 16)
    assert torch.allclose(MeanEnsemble([network])(x).softmax(dim=1), network(x).softmax(dim=1), atol=1e-6)


def test_ensemble_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="members must hold at least one network, got none"):
        MeanEnsemble([])


def test_members_of_16_bits_are_combined_in_32() -> None:
    half = Says(0.9, 0.1)
    half.logits = half.logits.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logs = MeanEnsemble([half, Says(0.5, 0.5)])(torch.zeros(1, 1, 1, 1))
    assert logs.dtype is torch.float32
    # log(0.9), log(0.1) rounded to 8 binary digits, by hand: -0.10546875 and -2.296875
    assert logs.exp()[0, 1].item() == pytest.approx((0.10056 + 0.5) / 2, abs=2e-5)

"""Several networks of one kind as one: the mean of their class probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn


class MeanEnsemble(nn.Module):
    """Predicts the mean of its members' class probabilities, as logits.

    The softmax of what it returns is that mean, so that everything that follows a single network follows it too.

    Args:
        members: networks that map ``(B, C, *)`` to logits ``(B, K, *)``, at least one.

    Raises:
        ValueError: there is no member.

    Source:
        Lakshminarayanan et al., Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles, 2017
        (https://arxiv.org/abs/1612.01474).
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        if not self.members:
            raise ValueError("members must hold at least one network, got none.")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict with all members.

        Args:
            x: ``(B, C, *)``.

        Returns:
            Logarithms of the mean probabilities, ``(B, K, *)``.
        """
        # mixed precision gives logits of 16 bits, too few for the logarithms of small means
        logs = torch.stack([member(x).float().log_softmax(dim=1) for member in self.members])
        return logs.logsumexp(dim=0) - math.log(len(logs))

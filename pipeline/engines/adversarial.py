"""Adversarial training of a segmentation network: a discriminator tells its masks from the experts'."""

from __future__ import annotations

from typing import Any

import torch
from monai.engines import AdversarialTrainer
from monai.engines.utils import IterationEvents
from monai.losses import PatchAdversarialLoss
from monai.networks import one_hot
from monai.networks.nets import PatchDiscriminator
from monai.utils.enums import AdversarialIterationEvents, AdversarialKeys
from monai.utils.enums import CommonKeys as Keys
from torch import nn
from torch.optim import Optimizer


class MaskDiscriminator(nn.Module):
    """MONAI's ``PatchDiscriminator`` over the probabilities of a mask.

    Args:
        spatial_dims: 2 or 3.
        out_channels: classes of the mask, background included.
        channels: of its first convolution.
        num_layers: convolutions with normalization after the first.
    """

    def __init__(self, spatial_dims: int = 2, out_channels: int = 4, channels: int = 32, num_layers: int = 3) -> None:
        super().__init__()
        self.patches = PatchDiscriminator(spatial_dims, channels, out_channels, num_layers_d=num_layers)

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Map logits ``(B, out_channels, *spatial)`` to a score a patch ``(B, 1, *patches)``, high for an expert's."""
        scores: torch.Tensor = self.patches(logits.softmax(dim=1))[-1]
        return scores


class AdversarialSegmentationTrainer(AdversarialTrainer):
    """MONAI's ``AdversarialTrainer`` for masks, with the outside of a ``SupervisedTrainer``.

    MONAI's trainer compares what the generator makes with its input image. Here the real ones are the labels, as logits
    that are sure to ``1 - smoothing``: a discriminator would know perfect certainty at once. Handlers of supervised
    trainings find ``network``, ``optimizer``, ``scaler``, the loss, and its events.

    Args:
        network: the segmentation network.
        optimizer: of the network.
        loss_function: of logits and label, as in supervised training.
        d_network: the discriminator, see :class:`MaskDiscriminator`.
        d_optimizer: of the discriminator.
        adversarial_weight: of the discriminator's verdict beside ``loss_function``, at least 0.
        smoothing: probability that the labels' logits leave to the other classes, in (0, 1).
        kwargs: further arguments of MONAI's ``AdversarialTrainer``.

    Raises:
        ValueError: ``adversarial_weight`` is negative, or ``smoothing`` is not in (0, 1).

    Source:
        Luc et al., Semantic Segmentation using Adversarial Networks, 2016 (https://arxiv.org/abs/1611.08408);
        Mao et al., Least Squares GAN, 2017 (https://arxiv.org/abs/1611.04076), for the loss.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        optimizer: Optimizer,
        loss_function: Any,
        d_network: nn.Module,
        d_optimizer: Optimizer,
        adversarial_weight: float = 0.01,
        smoothing: float = 0.05,
        **kwargs: Any,
    ) -> None:
        if adversarial_weight < 0:
            raise ValueError(f"adversarial_weight must not be negative, got {adversarial_weight}.")
        if not 0 < smoothing < 1:
            raise ValueError(f"smoothing must be in (0, 1), got {smoothing}.")
        self.network, self.optimizer, self.smoothing = network, optimizer, smoothing
        judge = PatchAdversarialLoss(criterion="least_squares")
        super().__init__(
            g_network=network,
            g_optimizer=optimizer,
            g_loss_function=lambda fake: adversarial_weight * judge(fake, target_is_real=True, for_discriminator=False),
            recon_loss_function=loss_function,
            d_network=d_network,
            d_optimizer=d_optimizer,
            d_loss_function=lambda real, fake: (
                (
                    judge(real, target_is_real=True, for_discriminator=True)
                    + judge(fake, target_is_real=False, for_discriminator=True)
                )
                / 2
            ),
            event_names=[*IterationEvents],
            **kwargs,
        )
        self.scaler = self.state.g_scaler
        self.add_event_handler(AdversarialIterationEvents.GENERATOR_FORWARD_COMPLETED, _labels_are_real)
        self.add_event_handler(AdversarialIterationEvents.GENERATOR_LOSS_COMPLETED, _sum_losses)
        self.add_event_handler(
            AdversarialIterationEvents.GENERATOR_BACKWARD_COMPLETED, _fire, IterationEvents.BACKWARD_COMPLETED
        )
        self.add_event_handler(
            AdversarialIterationEvents.GENERATOR_MODEL_COMPLETED, _fire, IterationEvents.MODEL_COMPLETED
        )


def _labels_are_real(engine: AdversarialSegmentationTrainer) -> None:
    output = engine.state.output
    classes = output[Keys.PRED].shape[1]
    sure = one_hot(output[Keys.LABEL], classes) * (1 - engine.smoothing) + engine.smoothing / classes
    output[AdversarialKeys.REALS] = sure.log()


def _sum_losses(engine: AdversarialSegmentationTrainer) -> None:
    output = engine.state.output
    output[Keys.LOSS] = output[AdversarialKeys.RECONSTRUCTION_LOSS] + output[AdversarialKeys.GENERATOR_LOSS]
    engine.fire_event(IterationEvents.LOSS_COMPLETED)


def _fire(engine: AdversarialSegmentationTrainer, event: IterationEvents) -> None:
    engine.fire_event(event)

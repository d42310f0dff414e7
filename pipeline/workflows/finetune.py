"""Training that starts from weights of an earlier one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from pipeline.errors import InputError
from pipeline.handlers import load_pretrained
from pipeline.handlers.checkpoint import HEAD
from pipeline.workflows.device import place

logger = logging.getLogger(__name__)

ENCODER_PREFIXES = ("encoder.", "transformer.", "aspp.")
"""Names of the parts of ``ASPPNet`` that look; the decoder and the head that follow decide."""


def pretrained_network(network: nn.Module, path: str | Path, device: torch.device | str) -> nn.Module:
    """Load earlier weights into a network and place it on ``device``, to be trained on.

    A head for another number of classes stays new, everything else must fit.

    Args:
        network: with an output layer named ``head``.
        path: a plain ``state_dict``, such as the bundle's ``models/model.pt``.
        device: where it is trained.

    Raises:
        InputError: the file cannot be read, or holds the weights of another network.
    """
    renewed = load_pretrained(network, path, may_differ=HEAD)
    if renewed:
        logger.info("The head is new: %s was trained for another number of classes.", Path(path).name)
    return place(network, device)


def encoder_slower(network: nn.Module, learning_rate: float, encoder_factor: float) -> list[dict[str, Any]]:
    """Return parameter groups for an optimizer: the encoder at a lower learning rate, or frozen.

    A frozen encoder computes as in inference, whatever mode the network is in: neither its weights nor the statistics
    of its batch normalization change, bit by bit, these statistics are applied, and nothing is dropped. So the decoder
    is taught on the very maps that it will see.

    Args:
        network: an ``ASPPNet``.
        learning_rate: of decoder and head.
        encoder_factor: of encoder and ASPP, times ``learning_rate``; 0 freezes them.

    Raises:
        InputError: ``encoder_factor`` is not in [0, 1], or several processes train: the overlay for them replaces the
            network, so that either the weights or the joint training would be lost without a word.
    """
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        raise InputError(
            f"fine-tuning must run in one process, got {dist.get_world_size()}. Start it without torchrun and "
            "multi_gpu_train.yaml."
        )
    if not 0 <= encoder_factor <= 1:
        raise InputError(f"encoder_factor must be in [0, 1], got {encoder_factor}.")
    encoder = [parameter for name, parameter in network.named_parameters() if name.startswith(ENCODER_PREFIXES)]
    rest = [parameter for name, parameter in network.named_parameters() if not name.startswith(ENCODER_PREFIXES)]
    groups = [{"params": rest, "lr": learning_rate}]
    if encoder_factor == 0:
        for parameter in encoder:
            parameter.requires_grad_(False)
        for name, part in network.named_modules():
            if name.startswith(ENCODER_PREFIXES):
                part.register_forward_pre_hook(_evaluating)
    else:
        groups.append({"params": encoder, "lr": learning_rate * encoder_factor})
    return groups


def _evaluating(part: nn.Module, _inputs: Any) -> None:
    # a trainer puts the whole network into training mode before each batch
    part.training = False

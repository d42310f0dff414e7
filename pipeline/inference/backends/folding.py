"""Batch normalization folded into the convolutions before it."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import cast

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Fold each batch normalization into the convolution right before it: one pass over memory instead of two.

    Folded are neighbors in an ``nn.Sequential``, where it is certain that the one feeds the other; whatever stands
    elsewhere stays as it is.

    Args:
        network: with its weights loaded; it is not changed.

    Returns:
        A copy in evaluation mode that computes the same to rounding. It cannot be trained, and its ``state_dict`` has
        other keys.

    Source:
        Jacob et al., Quantization and Training of Neural Networks, 2018, section 3.2
        (https://arxiv.org/abs/1712.05877).
    """
    folded = deepcopy(network).eval()
    for block in folded.modules():
        # a subclass may call its children in another order
        if type(block).forward is nn.Sequential.forward:
            _fold_neighbors(block)
    return folded.requires_grad_(False)


def _fold_neighbors(block: nn.Module) -> None:
    for (conv_name, conv), (norm_name, norm) in pairwise(list(block.named_children())):
        flat = isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        deep = isinstance(conv, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d)
        if flat or deep:
            setattr(block, conv_name, fuse_conv_bn_eval(cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm)))
            setattr(block, norm_name, nn.Identity())

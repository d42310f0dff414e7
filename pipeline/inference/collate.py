"""Makes one batch of the phases of a cine, so that the network sees them as so many volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from monai.data import MetaTensor
from monai.data.utils import list_data_collate

from pipeline.errors import InputError


def collate_phases(batch: Sequence[Mapping[str, Any]], image_key: str = "image") -> dict[str, Any]:
    """Turn one scan into a batch of its phases; the ``collate_fn`` of a data loader of batch size 1.

    Each phase gets the scan's metadata and its own copy of the trace of the transforms, so that ``decollate_batch`` and
    ``Invertd`` treat it as a scan of its own. A volume of one phase becomes a batch of one.

    The predictions of a batch are in memory at once, 4 classes in float32: ``segment_cohort`` therefore batches a group
    of phases at a time, see ``phases``.

    Args:
        batch: one item; its image is ``(T, X, Y, Z)``, the phases in the channels.
        image_key: key of the image. All other values go with each phase.

    Returns:
        The batch; its image is ``(T, 1, X, Y, Z)``.

    Raises:
        InputError: there are several items.
    """
    if len(batch) != 1:
        raise InputError(f"collate_phases takes one scan a batch, got {len(batch)}. Set the loader's batch_size to 1.")
    item = dict(batch[0])
    collated: dict[str, Any] = list_data_collate([item | {image_key: phase} for phase in _phases(item[image_key])])
    return collated


def _phases(image: torch.Tensor) -> list[torch.Tensor]:
    phases = list(image.split(1))
    for phase in phases:
        if isinstance(phase, MetaTensor) and isinstance(image, MetaTensor):
            # the inverse pops its entry: phases must not share the list
            phase.applied_operations = deepcopy(image.applied_operations)
            phase.meta = deepcopy(image.meta)
    return phases

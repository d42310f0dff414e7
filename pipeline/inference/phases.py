"""The phases of a cine in groups, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Protocol, runtime_checkable

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import Compose, InvertibleTransform

from pipeline.inference.collate import collate_phases
from pipeline.metrics.quality import QualityFlag

GROUP_VOXELS = 2**23
"""Of a group of phases, at most, where it has more than one. A voxel costs about 100 bytes on its way to a label."""

IMAGE = "image"


class DecidedInferer(Inferer):
    """An inferer for the phases of one study.

    Attributes:
        flags: what the decision says of the scan.
    """

    flags: tuple[QualityFlag, ...] = ()


@runtime_checkable
class DecidingInferer(Protocol):
    """An inferer that decides once a study what then holds for all its phases, as the window around the heart."""

    def deciding_phases(self, count: int) -> list[int]:
        """Return the phases that it decides by, of ``count``."""

    def decide(self, inputs: torch.Tensor, network: torch.nn.Module) -> DecidedInferer:
        """Return an inferer for any phases of the study.

        Args:
            inputs: the phases that it decides by, ``(N, C, X, Y, Z)``.
            network: as for the call of an inferer.
        """


class PhasePreprocessing:
    """A preprocessing in two parts: one reads and checks a scan, the other transforms some of its phases.

    The second part begins with the first transform that the postprocessing inverts. It treats each phase, a channel, by
    itself, so that its result does not depend on the grouping.

    Args:
        transform: of the data set. What is no ``Compose`` belongs to the first part as a whole.
        collate_fn: makes a batch of the phases of one item.
    """

    def __init__(self, transform: Any, collate_fn: Callable[[list[Any]], dict[str, Any]] = collate_phases) -> None:
        self.collate_fn = collate_fn
        self.transform = transform if isinstance(transform, Compose) else Compose([transform])
        parts = self.transform.transforms
        self.first = next((n for n, part in enumerate(parts) if isinstance(part, InvertibleTransform)), len(parts))

    def read(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Return the item of a datalist with its image, ``(T, X, Y, Z)``, on the grid of the scan."""
        scan: dict[str, Any] = self.transform(dict(item), end=self.first) if self.first else dict(item)
        return scan

    def batch(self, scan: Mapping[str, Any], phases: Sequence[int] | slice = slice(None)) -> dict[str, Any]:
        """Return the batch of some phases, whose image is ``(N, 1, X, Y, Z)``.

        Args:
            scan: from :meth:`read`.
            phases: numbers from 0.
        """
        chosen = {**scan, IMAGE: _chosen(scan[IMAGE], phases)}
        if self.first < len(self.transform.transforms):
            chosen = self.transform(chosen, start=self.first)
        return self.collate_fn([chosen])


def _chosen(image: torch.Tensor, phases: Sequence[int] | slice) -> torch.Tensor:
    if not isinstance(image, MetaTensor):
        return image[phases]
    # transforms write into the metadata, and the next group needs them as they were
    meta, operations = deepcopy(image.meta), deepcopy(image.applied_operations)
    return MetaTensor(image.as_tensor()[phases], meta=meta, applied_operations=operations)


def phase_groups(image: torch.Tensor, group_voxels: int) -> list[slice]:
    """Return the phases of a cine in groups of about the same size.

    Args:
        image: ``(T, X, Y, Z)``.
        group_voxels: of a group, at most; a single phase may have more.
    """
    count, per_phase = len(image), image[0].numel()
    most = max(1, group_voxels // per_phase)
    groups = -(-count // most)
    return [slice(group * count // groups, (group + 1) * count // groups) for group in range(groups)]


def spread(count: int, at_most: int | None) -> list[int]:
    """Return places from 0 to ``count - 1``, all or ``at_most`` of them, each in the middle of its share."""
    if at_most is None or at_most >= count:
        return list(range(count))
    return [int((place + 0.5) * count / at_most) for place in range(at_most)]

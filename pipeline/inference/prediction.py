"""From a scan to its mask, some phases at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.engines import SupervisedEvaluator
from monai.utils import convert_to_numpy, convert_to_tensor
from numpy.typing import NDArray

from pipeline.inference.phases import (
    GROUP_VOXELS,
    IMAGE,
    DecidedInferer,
    DecidingInferer,
    PhasePreprocessing,
    phase_groups,
)
from pipeline.metrics.quality import QualityFlag

Process = Callable[[Any, Any], Any]

_LARGE = ("image", "label", "pred")


@dataclass(frozen=True)
class Prediction:
    """What was predicted of a scan.

    Attributes:
        mask: ``(X, Y, Z, T)`` in project labels, on the scan's grid; a phase lies together in memory.
        phases: of each phase what the postprocessing found out besides.
        flags: what the inferer noticed of the scan.
    """

    mask: NDArray[np.uint8]
    phases: list[dict[str, Any]]
    flags: tuple[QualityFlag, ...] = ()


class ScanPredictor:
    """Predicts scans by an evaluator, a group of phases at a time, so that only the labels of all phases are kept.

    Where the evaluator's inferer can, it decides first by some of the phases what holds for all (``DecidingInferer``).

    Args:
        evaluator: its postprocessing leaves ``pred`` of each phase as label map ``(1, X, Y, Z)``.
        process: its own process function.
        preprocessing: of its data set.
    """

    def __init__(self, evaluator: SupervisedEvaluator, process: Process, preprocessing: PhasePreprocessing) -> None:
        self.evaluator = evaluator
        self.process = process
        self.preprocessing = preprocessing

    def __call__(self, scan: Mapping[str, Any]) -> Prediction:
        """Predict one scan.

        Args:
            scan: as read by the preprocessing.
        """
        groups = phase_groups(scan[IMAGE], GROUP_VOXELS)
        # the only group serves the decision too
        whole = self.preprocessing.batch(scan) if len(groups) == 1 else None
        batches = (self.preprocessing.batch(scan, group) for group in groups) if whole is None else [whole]
        inferer = self.evaluator.inferer
        flags: tuple[QualityFlag, ...] = ()
        try:
            if isinstance(inferer, DecidingInferer):
                decided = self._decided(scan, whole, inferer)
                self.evaluator.inferer, flags = decided, decided.flags
            found = [phase for batch in batches for phase in self._predicted(batch)]
        finally:
            self.evaluator.inferer = inferer
        mask = np.moveaxis(np.stack([labels for labels, _ in found]), 0, -1)
        return Prediction(mask, [others for _, others in found], flags)

    def _predicted(self, batch: Mapping[str, Any]) -> list[tuple[NDArray[np.uint8], dict[str, Any]]]:
        # MONAI's handlers decollate and postprocess what they find here
        self.evaluator.state.batch = batch
        return [_split(phase) for phase in self.process(self.evaluator, batch)]

    def _decided(
        self, scan: Mapping[str, Any], whole: Mapping[str, Any] | None, inferer: DecidingInferer
    ) -> DecidedInferer:
        evaluator, network = self.evaluator, self.evaluator.network
        phases = inferer.deciding_phases(len(scan[IMAGE]))
        if whole is None:
            batch: Mapping[str, Any] = self.preprocessing.batch(scan, phases)
        else:
            batch = {**whole, IMAGE: convert_to_tensor(whole[IMAGE], track_meta=False)[phases]}
        device, options = evaluator.state.device, evaluator.to_kwargs
        inputs = evaluator.prepare_batch(batch, device, evaluator.non_blocking, **options)[0]
        with evaluator.mode(network), torch.autocast("cuda", enabled=evaluator.amp, **evaluator.amp_kwargs):
            return inferer.decide(inputs, network)


def _split(phase: Mapping[str, Any]) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    labels = convert_to_numpy(phase["pred"])[0].astype(np.uint8)
    return labels, {key: value for key, value in phase.items() if key not in _LARGE}

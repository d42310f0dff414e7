"""Compares the labels of new data with what pretrained weights see in its images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Events
from monai.engines import Trainer
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import nn

from pipeline.errors import InputError
from pipeline.handlers.checkpoint import has_new_head
from pipeline.labels import FOREGROUND, Structure

MIN_GAIN = 0.2
"""Mean Dice by which another order of the labels must fit better: weights that see nothing prove nothing."""


class RequireLabelOrder:
    """Refuses to fine-tune on labels in another order than that of the weights, before the first iteration.

    Data sets number the structures differently (LV is 3 in ACDC, 1 in M&Ms). With a wrong ``label_map`` fine-tuning
    would unlearn the structures and learn them anew, and nobody would notice.

    A head that is new, for other labels than those of the weights, has no order yet: then nothing is compared. Further
    labels (4 and above) count as background.

    Args:
        network: with its pretrained weights.
        dataset: of samples ``image`` ``(C, X, Y)`` and ``label`` ``(1, X, Y)`` in project labels.
        pretrained_path: file of these weights.
        num_samples: how many are looked at, spread over the data set.
    """

    def __init__(self, network: nn.Module, dataset: Any, pretrained_path: str | Path, num_samples: int = 64) -> None:
        self.network = network
        self.dataset = dataset
        self.pretrained_path = pretrained_path
        self.num_samples = num_samples

    def attach(self, engine: Trainer) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Trainer) -> None:
        """Compare once.

        Raises:
            InputError: the weights' structures match the labels' far better in another order; names both.
        """
        if has_new_head(self.network, self.pretrained_path):
            return
        swapped = better_order(self._confusion(engine.state.device))
        if swapped:
            pairs = ", ".join(f"{seen.name} where the labels say {said.name}" for said, seen in swapped.items())
            raise InputError(
                f"the labels are in another order than that of the pretrained weights, which see {pairs}. Give the "
                "data's own --label_map, e.g. mnms, or train anew with train.yaml if the images are of another kind."
            )

    def _confusion(self, device: torch.device) -> NDArray[np.int64]:
        places = np.unique(np.linspace(0, len(self.dataset) - 1, min(self.num_samples, len(self.dataset))).astype(int))
        confusion = np.zeros((len(Structure), len(Structure)), dtype=np.int64)
        training = self.network.training
        self.network.eval()
        with torch.inference_mode():
            for place in places:
                sample = self.dataset[int(place)]
                # transforms that cut windows return a list of them
                sample = sample[0] if isinstance(sample, list) else sample
                seen = self.network(sample["image"][None].to(device)).argmax(dim=1).cpu().numpy().ravel()
                said = sample["label"].cpu().numpy().astype(np.int64).ravel()
                np.add.at(confusion, (_structures(said), _structures(seen)), 1)
        self.network.train(training)
        return confusion


def _structures(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(labels < len(Structure), labels, Structure.BACKGROUND)


def better_order(confusion: NDArray[np.int64]) -> dict[Structure, Structure]:
    """Return the structures that fit better in another order.

    Args:
        confusion: voxels by label (rows) and by prediction (columns), in project labels.

    Returns:
        Label to predicted structure where they differ; empty where the present order fits as well.
    """
    present = [structure for structure in FOREGROUND if confusion[structure].sum() > 0]
    if not present:
        return {}
    sizes = confusion.sum(axis=1)[:, None] + confusion.sum(axis=0)[None]
    dice = 2 * confusion / np.maximum(sizes, 1)
    table = dice[np.ix_(present, list(FOREGROUND))]
    rows, columns = linear_sum_assignment(table, maximize=True)
    own = np.mean([dice[structure, structure] for structure in present])
    if table[rows, columns].mean() < own + MIN_GAIN:
        return {}
    best = {present[row]: FOREGROUND[column] for row, column in zip(rows, columns, strict=True)}
    return {said: seen for said, seen in best.items() if said is not seen}

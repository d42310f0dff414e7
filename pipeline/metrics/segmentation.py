"""The metric that MONAI's evaluator calls: a row of figures a case, a summary of the cohort at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from ignite.engine import Engine
from ignite.exceptions import NotComputableError
from ignite.metrics import Metric
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.geometry import spacing_mm
from pipeline.metrics.case import mean_of_counted, measure_case, with_all_labels
from pipeline.metrics.summary import summarize, summary_scalars

EXPECTED_PREFIX = "expected_"
"""Of an item's figures that need no label (``transforms.ExpectedDice``): they go into its row."""

IDENTITY_KEYS: tuple[str, ...] = ("case_id", "patient_id", "phase", "group")
"""Columns that say which case a row is about; all but ``case_id`` may be empty."""

Item = Mapping[str, Any]


class SegmentationMetrics(Metric):
    """Measure every case of an evaluation, and report the mean Dice as the metric to select models by.

    Use it as the key metric of MONAI's ``SupervisedEvaluator``: ``key_val_metric={"val_mean_dice": metric}``. When the
    evaluation completes, ``engine.state.metrics`` also holds the other figures (``summary.summary_scalars``):
    ``val_dice_rv``, ``val_mean_iou``, ``val_hd95_mm_lv``, ``val_missed_rv``, ``val_accuracy``, ``val_dice_lv_ed``. A
    further label counts like a structure: ``val_dice_label_4``, and its part of the mean.

    With ``torch.distributed``, each rank measures its own cases; the rows of all ranks are gathered when the evaluation
    completes, and a case that a sampler gave to two ranks, to even them out, counts once.

    Args:
        output_transform: from the engine's output to a list of items, a case each, with ``pred`` and ``label``: tensors
            (1, X, Y, Z) or (1, X, Y) of the project's values on the same grid, ``label`` with an ``affine``. What
            MONAI leaves in ``engine.state.batch`` (``case_id``, ``patient_id``, ``phase``, ``group``) is added.
        surface: also measure HD95 and ASSD; about ten times slower than overlap alone.
        prefix: put before the names of the figures in ``engine.state.metrics``.

    Source:
        Dice and the classes' names as in the ACDC challenge, Bernard et al., IEEE TMI 2018; rules for absent
        structures in ``measure_case``.
    """

    required_output_keys = None

    def __init__(
        self,
        output_transform: Callable[[Any], Any] = lambda output: output,
        surface: bool = True,
        prefix: str = "val_",
    ) -> None:
        self.surface = surface
        self.prefix = prefix
        super().__init__(output_transform, skip_unrolling=True)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return a row a case: ``case_id``, ``patient_id``, ``phase``, ``group``, then the figures of ``measure_case``.

        Sorted by ``case_id``. During an evaluation: the cases of this rank so far; after it: those of all ranks.
        """
        return with_all_labels([self._rows[case_id] for case_id in sorted(self._rows)])

    def reset(self) -> None:
        """Forget all cases; ignite calls it when an evaluation starts."""
        self._rows: dict[str, dict[str, Any]] = {}

    def iteration_completed(self, engine: Engine) -> None:
        """Measure the cases of the batch that the engine just finished."""
        self.update(case_items(engine.state.batch, self._output_transform(engine.state.output)))

    def update(self, output: Sequence[Item]) -> None:
        """Measure cases.

        Args:
            output: items with ``pred``, ``label`` and ``case_id``.

        Raises:
            InputError: an item has no ``case_id``, or one that this evaluation has seen.
            TypeError: the label has no affine to read the spacing from.
            ValueError: a mask has more than one channel, or values that are not whole numbers.
        """
        for item in output:
            row = self._measure(item)
            if row["case_id"] in self._rows:
                raise InputError(f"case_id '{row['case_id']}' came twice in one evaluation: each case needs its own.")
            self._rows[row["case_id"]] = row

    def compute(self) -> float:
        """Gather the rows of all ranks and return the mean over cases of ``mean_dice``.

        Every rank must call it.

        Raises:
            InputError: no case has a structure in label or prediction.
            NotComputableError: no case was measured.
        """
        self._rows = {row["case_id"]: row for row in _gather(self.rows)}
        if not self._rows:
            raise NotComputableError("SegmentationMetrics must see at least one case before it is computed.")
        value = mean_of_counted(row["mean_dice"] for row in self._rows.values())
        if np.isnan(value):  # as the first value of a key metric it would stay the best for ever: nothing exceeds NaN
            raise InputError(
                f"None of the {len(self._rows)} validation cases has a structure in its label: "
                "check the label files and the label map (`python -m pipeline data check DIR`)."
            )
        return value

    def completed(self, engine: Engine, name: str) -> None:
        """Write the metric under ``name``, and all other figures of the cohort, into ``engine.state.metrics``."""
        super().completed(engine, name)
        engine.state.metrics.update(summary_scalars(summarize(self.rows), self.prefix))

    def _measure(self, item: Item) -> dict[str, Any]:
        if not item.get("case_id"):
            raise InputError(f"Each item of an evaluation needs a 'case_id', got the keys {sorted(item)}.")
        pred, label = mask_array("pred", item["pred"]), mask_array("label", item["label"])
        identity = {key: str(item.get(key, "")) for key in IDENTITY_KEYS}
        expected = {key: float(item[key]) for key in sorted(item) if str(key).startswith(EXPECTED_PREFIX)}
        return identity | measure_case(pred, label, item_spacing_mm(item), self.surface) | expected


def case_items(batch: Any, output: Any) -> list[dict[str, Any]]:
    """Join what MONAI keeps apart: the tensors in the engine's output, the names of their cases in its batch.

    Args:
        batch: ``engine.state.batch`` after decollation.
        output: ``engine.state.output`` after decollation and postprocessing.

    Returns:
        A dictionary a case; where both sides have a key, the output's value.

    Raises:
        TypeError: the output is not a list of dictionaries.
    """
    if not isinstance(output, Sequence) or not all(isinstance(item, Mapping) for item in output):
        raise TypeError(
            f"The evaluator must put out a list of dictionaries (decollate=True), got {type(output).__name__}."
        )
    if not isinstance(batch, Sequence) or len(batch) != len(output):
        return [dict(item) for item in output]
    return [
        {**(names if isinstance(names, Mapping) else {}), **item} for names, item in zip(batch, output, strict=True)
    ]


def mask_array(name: str, mask: torch.Tensor) -> NDArray[np.uint8]:
    """Return a mask of one channel, (1, X, Y, Z) or (1, X, Y), as an array without channel.

    Raises:
        ValueError: it has more than one channel, or values that are not whole numbers from 0 to 255.
    """
    tensor = torch.as_tensor(mask).detach()
    if tensor.shape[0] != 1:
        raise ValueError(f"{name} must have one channel, (1, X, Y, Z), got {tuple(tensor.shape)}; argmax it first.")
    values = tensor[0].cpu().numpy()
    with np.errstate(invalid="ignore"):  # NaN has no integer; the comparison below refuses it
        whole = values.astype(np.uint8)
    if not np.array_equal(whole, values):
        raise ValueError(f"{name} must hold whole numbers from 0 to 255, got others; was it interpolated linearly?")
    return whole


def item_spacing_mm(item: Item) -> list[float]:
    """Return the spacing of an item's label in mm, one value a spatial axis.

    Raises:
        TypeError: the label has no affine.
    """
    return [float(value) for value in spacing_mm(item_affine(item))[: item["label"].ndim - 1]]


def item_affine(item: Item) -> NDArray[np.float64]:
    """Return the affine of an item's label, 4x4, from voxel indices to mm.

    Raises:
        TypeError: the label has no affine.
    """
    affine = getattr(item["label"], "affine", None)
    if affine is None:
        raise TypeError(
            f"label must be a MetaTensor, whose affine gives the spacing, got {type(item['label']).__name__}."
        )
    return np.asarray(torch.as_tensor(affine).cpu(), dtype=np.float64)


def _gather(rows: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    if not (dist.is_available() and dist.is_initialized()):
        return rows
    by_rank: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(by_rank, rows)
    return [row for of_rank in by_rank for row in of_rank]

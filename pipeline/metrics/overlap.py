"""Agreement of two masks voxel by voxel, all of it read from one confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.labels import Structure

Confusion = NDArray[np.int64]


def confusion_matrix(pred: NDArray[Any], label: NDArray[Any], num_labels: int = len(Structure)) -> Confusion:
    """Count the voxels of each pair of label and predicted structure.

    Args:
        pred: integer array of the project's values, any shape.
        label: integer array of the project's values, same shape.
        num_labels: how many values there are, background included; more than 4 with further labels.

    Returns:
        Array of shape (num_labels, num_labels): ``[label value, predicted value]``, in voxels.

    Raises:
        ValueError: the shapes differ, an array is not of integers, or a value is not one of ``num_labels``.
    """
    if pred.shape != label.shape:
        raise ValueError(f"pred and label must have the same shape, got {pred.shape} and {label.shape}.")
    for name, mask in (("pred", pred), ("label", label)):
        _check_values(name, mask, num_labels)
    pairs = label.ravel().astype(np.intp) * num_labels + pred.ravel()
    return np.bincount(pairs, minlength=num_labels**2).reshape(num_labels, num_labels).astype(np.int64)


def _check_values(name: str, mask: NDArray[Any], size: int) -> None:
    if not np.issubdtype(mask.dtype, np.integer):
        raise ValueError(f"{name} must be an array of integers, got {mask.dtype}; argmax the channels first.")
    if mask.size and (mask.min() < 0 or mask.max() >= size):
        raise ValueError(
            f"{name} must hold the project's values 0 to {size - 1}, got {mask.min()} to {mask.max()}; map it first."
        )


def accuracy(confusion: Confusion) -> float:
    """Return the share of voxels of the whole volume, background included, that carry the label's structure."""
    total = int(confusion.sum())
    return float(np.trace(confusion) / total) if total else float("nan")


def dice(confusion: Confusion, structure: int) -> float:
    """Return the Dice coefficient of one structure: 0 where only one mask has it, NaN where neither has."""
    size = int(confusion[structure].sum() + confusion[:, structure].sum())
    return float(2 * confusion[structure, structure] / size) if size else float("nan")


def iou(confusion: Confusion, structure: int) -> float:
    """Return intersection over union of one structure: 0 where only one mask has it, NaN where neither has."""
    intersection = int(confusion[structure, structure])
    union = int(confusion[structure].sum() + confusion[:, structure].sum()) - intersection
    return float(intersection / union) if union else float("nan")

"""Splits of ACDC for the fine-tuning curves: one disease held out of the pre-training, then met with few patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.data import Split
from pipeline.data.splits import stratified_folds
from pipeline.errors import InputError


def split_for(
    datalist: Sequence[dict[str, Any]], group: str, num_patients: int, fold: int = 0, num_folds: int = 5
) -> Split:
    """Return the cases of a pre-training, or of a training that follows it.

    Args:
        datalist: cases with ``patient_id`` and ``group``.
        group: that is held out of the pre-training, such as ``"RV"``.
        num_patients: of that group to train on, those of fewer among them; 0: the pre-training on all other groups, not
            validated.
        fold: of that group's patients, which is validated on.
        num_folds: of that group's patients.

    Raises:
        InputError: no patient of that group, no such fold, or fewer to train on than ``num_patients``.
    """
    members = [item for item in datalist if item["group"] == group]
    if not members:
        known = ", ".join(sorted({item["group"] for item in datalist}))
        raise InputError(f"group must be one of {known}, got '{group}'.")
    if num_patients == 0:
        return Split([item for item in datalist if item["group"] != group], [], validated=False)
    if not 0 <= fold < num_folds:
        raise InputError(f"fold must be from 0 to {num_folds - 1}, got {fold}.")
    folds = stratified_folds({item["patient_id"]: group for item in members}, num_folds)
    val = set(folds[fold])
    # every num_folds-th patient of the others comes next, so that fewer are a part of more
    others = [patient for place, patients in enumerate(folds) if place != fold for patient in patients]
    if not 0 < num_patients <= len(others):
        raise InputError(f"num_patients must be from 0 to {len(others)}, got {num_patients}.")
    train = set(others[:num_patients])
    return Split(
        [item for item in members if item["patient_id"] in train],
        [item for item in members if item["patient_id"] in val],
    )

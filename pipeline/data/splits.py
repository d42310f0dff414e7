"""Training and validation sides that never share a patient."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.data.problem import Item
from pipeline.errors import InputError
from pipeline.files import atomic_path

EVERYTHING = "all"
"""In place of a fold: all cases are trained on."""


@dataclass(frozen=True)
class Split:
    """The cases to train on and those to validate on; it cannot be made where the two share a patient.

    Attributes:
        train: cases of the training side, never empty.
        val: cases of the validation side, empty only where nothing is ``validated``.
        validated: whether there is a validation; a training on all cases has none.

    Raises:
        InputError: a side is empty that must not be, a case has no ``patient_id``, or a patient is on both sides.
    """

    train: list[Item]
    val: list[Item]
    validated: bool = True

    def __post_init__(self) -> None:
        """Check both sides."""
        if not self.validated and self.val:
            raise InputError(f"A split without a validation must have no cases in 'val', got {len(self.val)}.")
        for side, items in {"train": self.train, **({"val": self.val} if self.validated else {})}.items():
            if not items:
                raise InputError(f"A split needs cases on both sides, but '{side}' is empty. Add patients to it.")
        shared = sorted(_patient_ids(self.train) & _patient_ids(self.val))
        if shared:
            raise InputError(
                f"{len(shared)} patient(s) on both sides of the split: {', '.join(shared)}. A patient belongs "
                f"to train or to val, with all of its images."
            )

    def as_dict(self) -> dict[str, Any]:
        """Return both sides, and ``validated`` where there is no validation; ``Split(**…)`` takes it."""
        return {"train": self.train, "val": self.val, **({} if self.validated else {"validated": False})}

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write the split as JSON, whole or not at all."""
        text = json.dumps(self.as_dict(), indent=1, ensure_ascii=False)
        with atomic_path(Path(path)) as partial:
            partial.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> Split:
        """Read a split that ``to_json`` wrote.

        Raises:
            InputError: there is no such file, it is not a split, or its sides share a patient.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"The split '{path}' cannot be read: {error}. Delete it to make a new one.") from error
        if not isinstance(content, dict) or not all(isinstance(content.get(side), list) for side in ("train", "val")):
            raise InputError(f"The split '{path}' must have the lists 'train' and 'val'. Delete it to make a new one.")
        return cls(train=content["train"], val=content["val"], validated=bool(content.get("validated", True)))


def make_split(datalist: Sequence[Item], fold: int | str = 0, num_folds: int = 5, seed: int = 0) -> Split:
    """Return one fold of a cross-validation, or the split that the folder dictates.

    Args:
        datalist: cases with ``patient_id`` and ``group``. Where they carry ``split`` (train or val), it decides.
        fold: which of the folds to validate on, from 0 to ``num_folds - 1``; or ``"all"``: train on all cases, also
            those of a dictated validation, and validate on none.
        num_folds: number of folds, at least 2.
        seed: the same seed gives the same folds on every machine.

    Returns:
        A split by patient; the groups are spread over the folds evenly, to within one patient.

    Raises:
        InputError: no cases, too few patients for ``num_folds``, ``fold`` out of range, a patient in two groups, or a
            dictated split that is partial or comes with a ``fold`` other than 0.
    """
    if not datalist:
        raise InputError("There are no cases to split. Check dataset_dir.")
    if fold == EVERYTHING:
        return Split(train=list(datalist), val=[], validated=False)
    if not isinstance(fold, int):
        raise InputError(f"fold must be a whole number or '{EVERYTHING}', got {fold!r}.")
    dictated = [item for item in datalist if "split" in item]
    if dictated:
        return _dictated_split(datalist, dictated, fold)
    if not 0 <= fold < num_folds:
        raise InputError(f"fold must be from 0 to num_folds - 1 = {num_folds - 1}, got {fold}.")
    val = {*stratified_folds(_groups(datalist), num_folds, seed)[fold]}
    return Split(
        train=[item for item in datalist if item["patient_id"] not in val],
        val=[item for item in datalist if item["patient_id"] in val],
    )


def stratified_folds(groups: Mapping[str, str], num_folds: int, seed: int = 0) -> list[list[str]]:
    """Deal patients into folds, so that each group and the whole are spread evenly.

    Args:
        groups: group of each patient, by ``patient_id``.
        num_folds: number of folds, from 2 to the number of patients.
        seed: seed of the shuffle within each group.

    Returns:
        ``num_folds`` sorted lists of patients. Every patient is in exactly one; sizes, and the counts of each group,
        differ by at most one between folds.

    Raises:
        InputError: ``num_folds`` is below 2 or above the number of patients, or there are fewer than 2 patients.
    """
    if num_folds < 2:
        raise InputError(f"num_folds must be at least 2, got {num_folds}.")
    if len(groups) < 2:
        raise InputError(
            f"{len(groups)} patient(s) cannot be split: at least one is trained on and another validated on. Add "
            "patients."
        )
    if num_folds > len(groups):
        raise InputError(
            f"{len(groups)} patient(s) are too few for {num_folds} folds: each fold needs one. Lower num_folds to at "
            f"most {len(groups)}, or add patients."
        )
    # Python's own generator gives the same shuffle on every platform and version; NumPy promises less.
    shuffler = random.Random(seed)
    dealt: list[str] = []
    for group in sorted({*groups.values()}):
        members = sorted(patient for patient in groups if groups[patient] == group)
        shuffler.shuffle(members)
        dealt.extend(members)
    # Dealing goes on in the next group where it stopped in the last, so the sizes of the folds stay even too.
    return [sorted(dealt[start::num_folds]) for start in range(num_folds)]


def _patient_ids(items: Sequence[Item]) -> set[str]:
    for item in items:
        if not isinstance(item, dict) or not item.get("patient_id"):
            raise InputError(f"Every case of a split needs a patient_id, got {item}.")
    return {item["patient_id"] for item in items}


def _groups(datalist: Sequence[Item]) -> dict[str, str]:
    _patient_ids(datalist)
    groups: dict[str, str] = {}
    for item in datalist:
        patient, group = item["patient_id"], item.get("group", "")
        if groups.setdefault(patient, group) != group:
            raise InputError(f"Patient {patient} is in two groups, '{groups[patient]}' and '{group}'. Give it one.")
    return groups


def _dictated_split(datalist: Sequence[Item], dictated: Sequence[Item], fold: int) -> Split:
    if len(dictated) < len(datalist):
        missing = len(datalist) - len(dictated)
        raise InputError(f"{missing} of {len(datalist)} cases have no 'split'. Give it to all cases, or to none.")
    if fold != 0:
        raise InputError(f"The data set dictates its own split, so fold must be 0, got {fold}.")
    for item in datalist:
        if item["split"] not in ("train", "val"):
            raise InputError(f"'split' must be 'train' or 'val', got '{item['split']}' in {item.get('case_id', item)}.")
    return Split(
        train=[item for item in datalist if item["split"] == "train"],
        val=[item for item in datalist if item["split"] == "val"],
    )

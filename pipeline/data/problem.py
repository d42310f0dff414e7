"""One thing wrong with a data set, and what an adapter found beside it."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import InputError

logger = logging.getLogger(__name__)

Item = dict[str, Any]
"""One case of a MONAI datalist: plain values, paths as strings."""

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """Something in a data set that a person should look at.

    Attributes:
        case_id: the case, or the patient or folder where no case can be named.
        file: path of the file to look at.
        severity: ``"error"`` where training would fail or learn nonsense, else ``"warning"``.
        message: what came and which rule it breaks.
        way_out: what to do about it; equal texts are shown once.
    """

    case_id: str
    file: str
    severity: Severity
    message: str
    way_out: str

    def __str__(self) -> str:
        """Return the problem as one line."""
        return f"{self.case_id}: {self.message} ({self.file}). {self.way_out}"


@dataclass
class Scan:
    """What an adapter found in a folder: the cases that are whole, and every problem with the others."""

    items: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def extend(self, other: Scan) -> None:
        """Add the cases and problems of another scan."""
        self.items.extend(other.items)
        self.problems.extend(other.problems)

    def datalist(self, dataset_dir: Path) -> list[Item]:
        """Return the cases, where none is broken.

        Args:
            dataset_dir: the folder that was scanned, for the message.

        Returns:
            The cases in their sorted order. Warnings go to the log.

        Raises:
            InputError: any problem is an error; the message names all of them.
        """
        for problem in self.problems:
            if problem.severity == "warning":
                logger.warning("%s", problem)
        raise_errors(dataset_dir, self.problems)
        return self.items


def raise_errors(dataset_dir: Path, problems: Sequence[Problem]) -> None:
    """Raise one ``InputError`` that names every error among the problems; do nothing where there is none.

    Raises:
        InputError: at least one problem is an error.
    """
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        lines = "\n".join(f"  {problem}" for problem in errors)
        raise InputError(f"{len(errors)} problem(s) in {dataset_dir}:\n{lines}")


def sorted_scan(scan: Scan) -> Scan:
    """Return the scan with its cases sorted by ``case_id``, and an error for each id that comes twice."""
    items = sorted(scan.items, key=lambda item: (item["case_id"], item["image"]))
    problems = list(scan.problems)
    for before, item in itertools.pairwise(items):
        if before["case_id"] == item["case_id"]:
            message = f"this image and {before['image']} have the same case_id"
            problems.append(Problem(item["case_id"], item["image"], "error", message, "Rename one of the two."))
    return Scan(items, problems)

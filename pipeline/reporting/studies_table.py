"""The studies of an inference as a table for the terminal."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import InputError

MAX_STUDIES = 30
"""Lines of the table; the file has all."""

MAX_CHARACTERS = 60
"""Of a name."""

# column of studies.csv, heading
_COLUMNS = (
    ("case_id", "study"),
    ("lv_edv_ml", "LV EDV mL"),
    ("lv_esv_ml", "LV ESV mL"),
    ("lv_ef_percent", "LV EF %"),
    ("lv_ml", "one phase, LV mL"),
    ("num_flags", "flags"),
    ("lowest_expected_mean_dice", "expected Dice"),
)
_EXPECTED = "lowest_expected_mean_dice"
_OPTIONAL = ("lv_ml", _EXPECTED)
_NOTHING = "-"


def format_studies(path: str | Path) -> str:
    """Lay out ``studies.csv`` of an inference: a line a study, those that need a look first.

    Failed ones come first, with their reason, then those whose masks expect the lowest Dice of themselves.

    Args:
        path: the file, as ``CohortResult.write`` leaves it.

    Returns:
        Lines joined by line breaks, without one at the end; of at most ``MAX_STUDIES`` studies. The volume of scans of
        one phase and the expected Dice have a column where there are such.

    Raises:
        InputError: the file is another one or damaged.
    """
    with Path(path).open(encoding="utf-8", newline="") as file:
        studies = list(csv.DictReader(file))
    if any(not {"status", "reason", *dict(_COLUMNS)} <= study.keys() for study in studies):
        raise InputError(f"{path} is no list of studies of this version. Run the inference again.")
    studies.sort(key=_rank)
    columns = [
        (name, head) for name, head in _COLUMNS if name not in _OPTIONAL or any(study[name] for study in studies)
    ]
    rows = [[_cell(study, name) for name, _ in columns] for study in studies[:MAX_STUDIES]]
    heads = [head for _, head in columns]
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    lines = [_line(heads, widths)]
    lines += [_line(row, widths) + _failure(study) for row, study in zip(rows, studies, strict=False)]
    more = len(studies) - len(rows)
    return "\n".join([*lines, f"and {more} more"] if more else lines)


def _rank(study: Mapping[str, str]) -> tuple[bool, float]:
    return study["status"] != "failed", float(study[_EXPECTED] or math.inf)


def _cell(study: Mapping[str, str], name: str) -> str:
    # a name must not write into the terminal
    text = "".join(character if character.isprintable() else "?" for character in study[name])
    return text[:MAX_CHARACTERS] or _NOTHING


def _failure(study: Mapping[str, str]) -> str:
    return f"  failed: {' '.join(study['reason'].split())}" if study["status"] == "failed" else ""


def _line(cells: list[str], widths: list[int]) -> str:
    first, *others = (
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()

"""The numbers of an evaluation's studies as a file, and their agreement with the labels as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.files import atomic_path

_HEADER = ("measured - label", "studies", "missing", "bias", "sd", "95 % limits", "MAE", "r", "CCC")
_NOTHING = "-"
_UNITS = {"ml": "mL", "percent": "%", "g": "g"}


def write_studies(path: Path, studies: Sequence[Mapping[str, Any]]) -> Path:
    """Write a study a row: its names, its numbers, and those of its labels under ``label_*``; unknown ones are empty.

    Args:
        path: file to write, such as ``volumes.csv``.
        studies: what ``pipeline.metrics.studies.pair_studies`` returns.

    Returns:
        The path.
    """
    with atomic_path(path) as partial:
        pd.DataFrame(studies).to_csv(partial, index=False, encoding="utf-8")
    return path


def format_agreement(section: Mapping[str, Any]) -> str:
    """Lay out an agreement: a line a quantity.

    Args:
        section: what ``pipeline.metrics.studies.summarize_studies`` returns, not empty.

    Returns:
        Lines of plain ASCII, joined by line breaks, without one at the end. What no study has shows as ``-``.
    """
    rows = [_row(name, figures) for name, figures in section["quantities"].items()]
    widths = [max(len(row[column]) for row in (_HEADER, *rows)) for column in range(len(_HEADER))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([_line(_HEADER, widths), rule, *(_line(row, widths) for row in rows)])


def quantity_title(name: str) -> str:
    """Return a quantity as a reader calls it: ``"LV EDV mL"`` for ``"lv_edv_ml"``."""
    ventricle, number, unit = name.split("_")
    return f"{ventricle.upper()} {number if number == 'mass' else number.upper()} {_UNITS[unit]}"


def _row(name: str, figures: Mapping[str, Any]) -> tuple[str, ...]:
    lower, upper = figures["lower_limit"], figures["upper_limit"]
    return (
        quantity_title(name),
        str(figures["n"]),
        str(figures["missing"]),
        _format(figures["bias"], "+.1f"),
        _format(figures["sd"], ".1f"),
        _NOTHING if lower is None else f"{lower:+.1f} to {upper:+.1f}",
        _format(figures["mean_absolute_error"], ".1f"),
        _format(figures["pearson_r"], ".3f"),
        _format(figures["concordance"], ".3f"),
    )


def _format(value: float | None, form: str) -> str:
    return _NOTHING if value is None else format(value, form)


def _line(row: tuple[str, ...], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
    return "  ".join(cells).rstrip()

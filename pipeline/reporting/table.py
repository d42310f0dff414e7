"""A summary as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.metrics.summary import PHASES, structure_keys
from pipeline.reporting.agreement import format_agreement

_HEADER = ("structure", "phase", "cases", "Dice", "sd", "IoU", "HD95 mm", "ASSD mm", "missed", "false alarms")
_LEFT_ALIGNED = 2
_NOTHING = "-"


def format_summary(summary: Mapping[str, Any]) -> str:
    """Lay out a summary: a line a structure and phase, the means over the structures, the agreement of the studies.

    Args:
        summary: what ``pipeline.metrics.summarize`` returns, with an ``agreement`` (``summarize_studies``) or without.
            Distances that were not measured, and figures that no case counts for, show as ``-``.

    Returns:
        Lines of plain ASCII, joined by line breaks, without one at the end. ``cases`` are those that count.
    """
    phases = [phase for phase in (*PHASES, "all") if phase in summary]
    rows = [_structure_row(summary[phase], key, phase) for key in structure_keys(summary["all"]) for phase in phases]
    means = [_mean_row(summary[phase], phase) for phase in phases]
    widths = [max(len(row[column]) for row in (_HEADER, *rows, *means)) for column in range(len(_HEADER))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    body = [_line(row, widths) for row in rows] + [rule] + [_line(row, widths) for row in means]
    table = "\n".join([_line(_HEADER, widths), rule, *body])
    return f"{table}\n\n{format_agreement(summary['agreement'])}" if summary.get("agreement") else table


def _structure_row(block: Mapping[str, Any], key: str, phase: str) -> tuple[str, ...]:
    values = block[key]
    dice = values["dice"]
    return (
        key.upper(),
        phase,
        str(dice["n"]),
        _format(dice["mean"], 3),
        _format(dice["sd"], 3),
        _format(values["iou"]["mean"], 3),
        _format(values.get("hd95_mm", {}).get("mean"), 1),
        _format(values.get("assd_mm", {}).get("mean"), 2),
        str(values["missed"]),
        str(values["false_alarms"]),
    )


def _mean_row(block: Mapping[str, Any], phase: str) -> tuple[str, ...]:
    return (
        "mean",
        phase,
        str(block["num_cases"]),
        _format(block["mean_dice"], 3),
        "",
        _format(block["mean_iou"], 3),
        _format(block.get("mean_hd95_mm"), 1),
        _format(block.get("mean_assd_mm"), 2),
        str(sum(block[key]["missed"] for key in structure_keys(block))),
        str(sum(block[key]["false_alarms"] for key in structure_keys(block))),
    )


def _format(value: float | None, digits: int) -> str:
    return _NOTHING if value is None else f"{value:.{digits}f}"


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [
        cell.ljust(width) if column < _LEFT_ALIGNED else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()

"""A comparison as files: tables as CSV, charts as SVG, one page as HTML."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pipeline.comparison.charts import line_chart, scatter_chart
from pipeline.comparison.experiment import CURVE_METRIC, Comparison
from pipeline.comparison.page import comparison_page
from pipeline.comparison.paired import MEASURES, Pair
from pipeline.comparison.rows import Row
from pipeline.files import atomic_path

_REPLACED = ("settings.csv", "paired.csv", "paired_cases.csv", "curves.svg", "scatter_*.svg")
"""Files that not every comparison has."""


def write_comparison(comparison: Comparison, output_dir: str | Path, *, with_identifiers: bool = False) -> list[Path]:
    """Write ``runs.csv``, ``settings.csv``, ``paired.csv``, ``paired_cases.csv``, charts, and ``comparison.html``.

    Those of an earlier comparison in the folder are replaced.

    Args:
        comparison: what ``compare_experiment`` returns.
        output_dir: folder of the files; made if missing.
        with_identifiers: name the cases in ``paired_cases.csv`` and in the charts; else they are numbered, since the
            names of cases may be those of patients.

    Returns:
        The files, the page first.
    """
    folder = Path(output_dir)
    charts = _charts(comparison, with_identifiers)
    files = {
        "comparison.html": comparison_page(comparison, charts),
        "runs.csv": _as_csv(run_rows(comparison)),
        "settings.csv": _as_csv(_setting_rows(comparison)),
        "paired.csv": _as_csv(_pair_rows(comparison.pairs)),
        "paired_cases.csv": _as_csv(_case_rows(comparison.pairs, with_identifiers)),
        **{f"{name}.svg": chart for name, chart in charts.items()},
    }
    for pattern in _REPLACED:
        for path in folder.glob(pattern):
            path.unlink()
    return [_write(folder / name, text) for name, text in files.items() if text]


def _charts(comparison: Comparison, with_identifiers: bool) -> dict[str, str]:
    charts = {}
    if comparison.curves:
        charts["curves"] = line_chart(comparison.curves, "epoch", CURVE_METRIC)
    for place, pair in enumerate(comparison.pairs, 1):
        points = list(zip(_dice(pair, 0), _dice(pair, 1), strict=True))
        names = pair.cases_a.case_ids if with_identifiers else ()
        name = f"scatter_{place}_{_file_word(pair.name_a)}_{_file_word(pair.name_b)}"
        charts[name] = scatter_chart(points, f"mean Dice, A = {pair.name_a}", f"B = {pair.name_b}", names)
    return charts


def _dice(pair: Pair, side: int) -> list[float]:
    cases = (pair.cases_a, pair.cases_b)[side]
    return [float(value) for value in cases.figures.get("mean_dice", [math.nan] * len(cases))]


def _file_word(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)[:40]


def run_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a row a run: identity, cost, all figures, and the settings in which runs differ."""
    return [_run_row(comparison, place, row) for place, row in enumerate(comparison.rows)]


def _run_row(comparison: Comparison, place: int, row: Row) -> dict[str, Any]:
    start = datetime.fromtimestamp(row.record.start_ms / 1000, tz=timezone.utc)
    return {
        "rank": place + 1,
        "run": row.label,
        "run_id": row.record.id,
        "folds": len(row.folds) or "",
        "status": row.status,
        "job": row.record.tags.get("job", ""),
        "start": start.isoformat(timespec="seconds"),
        "minutes": _blank(round(row.minutes, 3)),
        "num_parameters": _blank(row.num_parameters),
        "device": row.device,
        "git.commit": row.runs[0].tags.get("git.commit", ""),
        "dataset_digest": row.digest,
        "figures": row.source,
        **{key: _blank(value) for key, value in row.figures.items()},
        **{f"setting.{setting.key}": setting.values[place] for setting in comparison.settings},
    }


def _setting_rows(comparison: Comparison) -> list[dict[str, Any]]:
    labels = [row.label for row in comparison.rows]
    return [
        {"setting": item.key, "also": " ".join(item.also), **dict(zip(labels, item.values, strict=True))}
        for item in comparison.settings
    ]


def _pair_rows(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    return [
        {
            "run_a": pair.name_a,
            "run_b": pair.name_b,
            "figure": item.measure,
            "mean_a": _blank(item.mean_a),
            "mean_b": _blank(item.mean_b),
            "difference": _blank(item.difference),
            "interval_low": _blank(item.low),
            "interval_high": _blank(item.high),
            "p_wilcoxon": _blank(item.p),
            "p_holm": _blank(item.p_adjusted),
            "num_cases": item.num_cases,
            "num_patients": item.num_patients,
            "better": {"A": pair.name_a, "B": pair.name_b}.get(item.verdict, ""),
        }
        for pair in pairs
        for item in pair.differences
    ]


def _case_rows(pairs: Sequence[Pair], with_identifiers: bool) -> list[dict[str, Any]]:
    return [
        {
            "run_a": pair.name_a,
            "run_b": pair.name_b,
            "case": case if with_identifiers else place + 1,
            "figure": measure,
            "a": _blank(float(pair.cases_a.figures[measure][place])),
            "b": _blank(float(pair.cases_b.figures[measure][place])),
        }
        for pair in pairs
        for measure in MEASURES
        if measure in pair.cases_a.figures and measure in pair.cases_b.figures
        for place, case in enumerate(pair.cases_a.case_ids)
    ]


def _blank(value: float) -> float | str:
    return "" if math.isnan(value) else value


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue() if rows else ""


def _write(path: Path, text: str) -> Path:
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
    return path

"""The check of a whole data set: every problem at once, and a table of what is there."""

from __future__ import annotations

import os
import textwrap
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from pipeline.data.case_check import CaseFindings, check_case, inspect_case
from pipeline.data.datalist import AUTO, resolve_format, scan_dataset
from pipeline.data.problem import Item, Problem
from pipeline.labels import FOREGROUND, Structure, resolve_label_map
from pipeline.progress import bar_pace

__all__ = ["CheckReport", "check_case", "check_dataset", "check_directory", "format_report"]

DEFAULT_LABEL_MAPS = {"acdc": "acdc", "mnms": "mnms", "sunnybrook": "sunnybrook"}
"""Label map of each data format; any other format is taken to carry the project's own values."""

_READERS = 4
_WIDTH = 110


@dataclass(frozen=True)
class CheckReport:
    """What the check of a data set found.

    Attributes:
        problems: all problems, errors first, then by case.
        cases: a line a case: ``case_id``, ``patient_id``, ``phase``, ``group``, ``size_x`` …, ``spacing_x_mm`` …, the
            intensities ``min``, ``p1``, ``median``, ``p99``, ``max``, and ``rv_ml``, ``myo_ml``, ``lv_ml``; NaN where a
            file did not tell.
        source: the folder that was checked, with its format; empty for a bare datalist.
        seconds: time taken.
    """

    problems: list[Problem]
    cases: pd.DataFrame
    source: str = ""
    seconds: float = 0.0
    errors: list[Problem] = field(init=False)
    warnings: list[Problem] = field(init=False)

    def __post_init__(self) -> None:
        """Sort the problems by severity."""
        ordered = sorted(self.problems, key=lambda problem: (problem.severity, problem.case_id, problem.file))
        object.__setattr__(self, "problems", ordered)
        object.__setattr__(self, "errors", [problem for problem in ordered if problem.severity == "error"])
        object.__setattr__(self, "warnings", [problem for problem in ordered if problem.severity == "warning"])


def check_directory(
    dataset_dir: str | os.PathLike[str],
    data_format: str = AUTO,
    label_map: str | Mapping[int | str, int] | None = None,
    num_workers: int | None = None,
    progress: bool = False,
) -> CheckReport:
    """Check a data set's own folder: partners, files, grids, labels, intensities.

    Args:
        dataset_dir: folder of the data set.
        data_format: a name in ``datalist.FORMATS``, or ``"auto"``.
        label_map: name or mapping; None takes the format's own, else the project's values.
        num_workers: threads that read; None takes up to 4.
        progress: show a progress bar on stderr.

    Returns:
        The report. Cases whose partner is missing are among its problems and not in its table.

    Raises:
        InputError: the folder is missing or empty or fits no layout, or the label map is unknown.
    """
    begin = time.monotonic()
    name = resolve_format(dataset_dir, data_format)
    if label_map is None:
        label_map = DEFAULT_LABEL_MAPS.get(name) or {structure: structure for structure in Structure}
    scan = scan_dataset(dataset_dir, name)
    report = check_dataset(scan.items, label_map, num_workers, progress)
    return CheckReport(
        [*scan.problems, *report.problems],
        report.cases,
        source=f"{Path(dataset_dir)} ({name})",
        seconds=time.monotonic() - begin,
    )


def check_dataset(
    datalist: Sequence[Item],
    label_map: str | Mapping[int | str, int],
    num_workers: int | None = None,
    progress: bool = False,
) -> CheckReport:
    """Read every case of a datalist once and report all problems.

    Args:
        datalist: cases to check.
        label_map: name in ``labels.LABEL_MAPS``, or mapping of the data set's label values to the project's.
        num_workers: threads that read; None takes up to 4.
        progress: show a progress bar on stderr.

    Returns:
        The report; a broken case does not keep the others from being checked.

    Raises:
        InputError: the label map is unknown.
    """
    begin = time.monotonic()
    inspect = partial(inspect_case, label_map=resolve_label_map(label_map))
    # Threads, not processes: inflating and hashing let go of the interpreter, and threads start alike on every system.
    with ThreadPoolExecutor(num_workers or min(_READERS, os.cpu_count() or 1)) as pool:
        results = pool.map(inspect, datalist)
        bar = tqdm(results, total=len(datalist), desc="Checking", unit="case", disable=not progress, **bar_pace())
        findings = list(bar)
    problems = [problem for found in findings for problem in found.problems]
    problems += _duplicates(findings) + _mixed_dimensions(findings) + _swapped_phases(findings)
    cases = pd.DataFrame([found.row for found in findings])
    return CheckReport(problems, cases, seconds=time.monotonic() - begin)


def _duplicates(findings: Sequence[CaseFindings]) -> list[Problem]:
    first: dict[str, CaseFindings] = {}
    problems = []
    for found in findings:
        if found.image_digest is None:
            continue
        original = first.setdefault(found.image_digest, found)
        if original is not found:
            message = f"duplicate image: same size and intensities as {original.item['case_id']}"
            way_out = "Remove one; a copy under another patient's name can get into training and validation both."
            problems.append(Problem(found.item["case_id"], found.item["image"], "warning", message, way_out))
    return problems


def _mixed_dimensions(findings: Sequence[CaseFindings]) -> list[Problem]:
    flat = [found for found in findings if "size_x" in found.row and "size_z" not in found.row]
    solid = [found for found in findings if "size_z" in found.row]
    if not flat or not solid:
        return []
    rarer, kind = (flat, "2D among 3D") if len(flat) <= len(solid) else (solid, "3D among 2D")
    message, way_out = f"the image is {kind} images", "Keep one kind in a data set."
    return [Problem(found.item["case_id"], found.item["image"], "error", message, way_out) for found in rarer]


def _swapped_phases(findings: Sequence[CaseFindings]) -> list[Problem]:
    volumes: dict[str, dict[str, float]] = defaultdict(dict)
    for found in findings:
        if found.item.get("phase") and "lv_ml" in found.row:
            volumes[found.item["patient_id"]][found.item["phase"]] = found.row["lv_ml"]
    problems = []
    for found in findings:
        phases = volumes.get(found.item["patient_id"], {})
        if found.item.get("phase") == "es" and "ed" in phases and "es" in phases and phases["es"] > phases["ed"] > 0:
            message = f"the LV is larger at ES ({phases['es']:.0f} mL) than at ED ({phases['ed']:.0f} mL)"
            way_out = "Check which frame is ED and which is ES."
            problems.append(Problem(found.item["case_id"], found.item["label"], "warning", message, way_out))
    return problems


def format_report(report: CheckReport) -> str:
    """Return the report as a text for the terminal: the count, the table, then the problems and what to do."""
    patients = report.cases["patient_id"].nunique() if len(report.cases) else 0
    read = f"{len(report.cases)} cases of {patients} patients read in {report.seconds:.1f} s"
    counts = f"{_count(report.errors, 'error')}, {_count(report.warnings, 'warning')}"
    head = f"{report.source or 'Data set'}: {read}, {counts}."
    parts = [head, _format_counts(report.cases), _format_table(report.cases)]
    parts += [_format_problems("Errors", report.errors), _format_problems("Warnings", report.warnings)]
    parts.append("Training would fail: mend the errors first." if report.errors else "Ready for training.")
    return "\n\n".join(part for part in parts if part)


def _count(problems: Sequence[Problem], noun: str) -> str:
    return f"{len(problems) or 'no'} {noun}{'' if len(problems) == 1 else 's'}"


def _format_counts(cases: pd.DataFrame) -> str:
    lines = []
    for title, column, unit in (("Groups (patients)", "group", "patient_id"), ("Phases (cases)", "phase", "case_id")):
        named = cases[cases[column] != ""] if len(cases) else cases
        if len(named):
            counts = named.groupby(column)[unit].nunique()
            lines.append(f"{title}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    return "\n".join(lines)


def _format_table(cases: pd.DataFrame) -> str:
    if not len(cases):
        return ""
    rows: dict[str, pd.Series] = {}
    for name in ("size", "spacing"):
        for axis in "xyz":
            column = f"{name}_{axis}" + ("_mm" if name == "spacing" else "")
            rows[f"{name} {axis}" + (", mm" if name == "spacing" else ", voxels")] = _column(cases, column)
    for column in ("min", "p1", "median", "p99", "max"):
        rows[f"intensity, {column}"] = _column(cases, column)
    keys = [structure.key for structure in FOREGROUND]
    keys += [name.removesuffix("_ml") for name in map(str, cases) if name.startswith("label_")]
    for key in keys:
        for phase in sorted({*cases["phase"]}):
            label = f"{key.upper()} {phase.upper()}".strip()
            rows[f"{label}, mL"] = _column(cases[cases["phase"] == phase], f"{key}_ml")
    summary = {name: values for name, values in rows.items() if len(values)}
    table = pd.DataFrame(
        {
            "min": {name: values.min() for name, values in summary.items()},
            "median": {name: values.median() for name, values in summary.items()},
            "max": {name: values.max() for name, values in summary.items()},
        }
    )
    return "Across cases:\n" + table.to_string(float_format=lambda value: f"{value:.4g}")


def _column(cases: pd.DataFrame, name: str) -> pd.Series:
    return cases[name].dropna() if name in cases else pd.Series(dtype=float)


def _format_problems(title: str, problems: Sequence[Problem]) -> str:
    groups: dict[tuple[str, str], list[Problem]] = defaultdict(list)
    for problem in problems:
        groups[problem.way_out, problem.message].append(problem)
    by_way_out: dict[str, list[str]] = defaultdict(list)
    for (way_out, message), group in groups.items():
        by_way_out[way_out].append(_format_group(message, group))
    blocks = ["\n".join([*texts, f"    -> {way_out}"]) for way_out, texts in by_way_out.items()]
    return f"{title} ({len(problems)}):\n" + "\n".join(blocks) if blocks else ""


def _format_group(message: str, group: Sequence[Problem]) -> str:
    """Return one problem with its file, or the cases that share a problem with the file of the first."""
    if len(group) == 1:
        return f"  {group[0].case_id}: {message}\n      {group[0].file}"
    cases = textwrap.fill(", ".join(problem.case_id for problem in group), _WIDTH, initial_indent=" " * 6)
    cases = cases.replace("\n", "\n" + " " * 6)
    return f"  {len(group)} cases: {message}\n{cases}\n      first file: {group[0].file}"

"""From one scan to a biobank: time and memory against the size of a cohort, by one process and by several."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from benchmarks.machine import available_cores
from benchmarks.pairing import Line, fit_line
from benchmarks.processes import Measured, run
from benchmarks.report import Section, Table
from benchmarks.settings import Settings, inference_command, shared_inference_command
from benchmarks.volumes import choose_volumes, lay_out

BIOBANK = 100_000
"""Scans."""
CINE_PHASES = 50
"""Phases of a UK Biobank short-axis cine."""
NOTES = [
    "Copies of the same ACDC volumes, README.md's command, whole process, once a size; processes share the scans by "
    "`torchrun` and the bundle's `multi_gpu_inference.yaml`, and share the cores.",
    f"Core-hours of {BIOBANK:,} scans: the slope of the line through wall time against scans, times the cores. A cine "
    f"of {CINE_PHASES} phases is counted as {CINE_PHASES} volumes, more than it takes: reading and finding the heart "
    "are shared.",
    "GB: of the largest process.",
]


def measure(settings: Settings) -> Section:
    """Time cohorts of several sizes by one process and by one a core."""
    sizes = (2, 4) if settings.quick else (1, 10, 100, 1000)
    cores = available_cores()
    found = {processes: [segment(size, processes, settings) for size in sizes] for processes in sorted({1, cores})}
    lines = {processes: fit_line(sizes, [one.wall_s for one in ones]) for processes, ones in found.items()}
    tables = [sizes_table(sizes, found), biobank_table(lines, cores)]
    measured = {f"{n} processes": [[one.wall_s, one.peak_bytes] for one in ones] for n, ones in found.items()}
    return Section("From one scan to a biobank", tables, NOTES, [], {"sizes": list(sizes), **measured})


def segment(size: int, processes: int, settings: Settings) -> Measured:
    """Segment a cohort of ``size`` volumes."""
    distinct = min(size, 10)
    source = lay_out(choose_volumes(settings.dataset_dir, distinct), -(-size // distinct), settings.work_dir / "cohort")
    target = settings.work_dir / "masks"
    shutil.rmtree(target, ignore_errors=True)
    env = {"MLFLOW_TRACKING_URI": f"sqlite:///{(settings.work_dir / 'mlruns.db').as_posix()}"}
    if processes == 1:
        return run(inference_command(sys.executable, source, target), env=env)
    env["OMP_NUM_THREADS"] = str(max(1, available_cores() // processes))
    return run(shared_inference_command(sys.executable, processes)(source, target), env=env)


def sizes_table(sizes: Sequence[int], found: dict[int, list[Measured]]) -> Table:
    """Return the table of all cohorts."""
    columns = ["scans", *(f"{_named(n)}: {what}" for n in found for what in ("s", "GB"))]
    rows = [
        [f"{size:,}", *(text for ones in found.values() for text in (f"{ones[place].wall_s:.1f}", _gb(ones[place])))]
        for place, size in enumerate(sizes)
    ]
    return Table(columns, rows)


def biobank_table(lines: dict[int, Line], cores: int) -> Table:
    """Return what a biobank costs.

    Args:
        lines: by number of processes, wall seconds against scans.
        cores: of the machine, all of them at work.
    """
    rows = []
    for processes, line in lines.items():
        hours = line.slope * cores * BIOBANK / 3600
        rows.append([_named(processes), f"{line.slope:.3f}", f"{hours:.1f}", f"{hours * CINE_PHASES:.0f}"])
    columns = ["", "s a volume", f"core-hours, {BIOBANK:,} volumes", f"core-hours, {BIOBANK:,} cines"]
    return Table(columns, rows)


def _named(processes: int) -> str:
    return "one process" if processes == 1 else f"{processes} processes"


def _gb(one: Measured) -> str:
    return f"{one.peak_bytes / 1e9:.2f}" if one.peak_bytes is not None else ""

"""From one scan to a biobank: time and memory against the size of a cohort, by one process and by several."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from benchmarks.cines import write_cine
from benchmarks.machine import available_cores
from benchmarks.pairing import Line, fit_line, seconds_a_unit
from benchmarks.processes import Measured, run
from benchmarks.report import Section, Table
from benchmarks.settings import Settings, inference_command, shared_inference_command
from benchmarks.volumes import choose_volumes, lay_out

BIOBANK = 100_000
"""Scans."""
VOLUMES_A_SCAN = 2
"""End-diastole and end-systole alone."""
CINE_SIZE, CINE_SLICES, CINE_PHASES, CINE_PIXEL_MM = (208, 162), 10, 50, 1.8
"""Of a UK Biobank short-axis cine."""
CINES_A_PROCESS = (1, 4)
"""In the smaller and the larger cohort of cines."""
STEADY_FROM = 10
"""Scans from which neighboring sizes are compared: below, start-up hides what a scan costs."""
NOTES = [
    "Copies of the same ACDC volumes, README.md's command, whole process, once a size; processes share the scans by "
    "`torchrun` and the bundle's `multi_gpu_inference.yaml`, and share the cores. There are no fewer scans than "
    "processes.",
    "Seconds a volume: slope of the line through wall time against scans; R² of that line; lowest and highest slope "
    f"between neighboring sizes from {STEADY_FROM} scans on. Core-hours: seconds times the cores, all of which work.",
    f"A cine has {CINE_SLICES} slices x {CINE_PHASES} phases x {CINE_SIZE[0]} x {CINE_SIZE[1]} pixels of "
    f"{CINE_PIXEL_MM} mm, as UK Biobank's, made of one ACDC volume, the phases alike but for noise; HTML report "
    f"included. Seconds a cine: of cohorts of {CINES_A_PROCESS[0]} and {CINES_A_PROCESS[1]} cines a process, the "
    "difference, once each.",
    "GB: of the largest process, and of all of them together where there are several (samples; what they share counts "
    "for each).",
]


def measure(settings: Settings) -> Section:
    """Time cohorts of several sizes by one process and by one a core."""
    cores = available_cores()
    sizes = sizes_for(cores, settings.quick)
    ways = sorted({1, cores})
    volumes = {processes: segment_volumes(processes, sizes, settings) for processes in ways}
    cines = {processes: segment_cines(processes, settings) for processes in ways}
    tables = [sizes_table(volumes, "Volumes"), sizes_table(cines, "Cines"), biobank_table(volumes, cines, cores)]
    measured = {"volumes": raw(volumes), "cines": raw(cines)}
    return Section("From one scan to a biobank", tables, NOTES, [], measured)


def sizes_for(cores: int, quick: bool) -> list[int]:
    """Return the sizes of the cohorts, of which two at least have a scan for each core."""
    return sorted({1, cores, 2 * cores} if quick else {1, cores, 10, 100, max(1000, 10 * cores)})


def segment_volumes(processes: int, sizes: list[int], settings: Settings) -> dict[int, Measured]:
    """Segment cohorts of volumes, those of fewer scans than processes left out."""
    return {size: segment(volumes_folder(size, settings), processes, settings) for size in sizes if size >= processes}


def segment_cines(processes: int, settings: Settings) -> dict[int, Measured]:
    """Segment cohorts of cines."""
    sizes = [number * processes for number in CINES_A_PROCESS]
    phases = 2 if settings.quick else CINE_PHASES
    return {size: segment(cines_folder(size, phases, settings), processes, settings) for size in sizes}


def volumes_folder(size: int, settings: Settings) -> Path:
    """Lay out a cohort of so many volumes."""
    distinct = min(size, 10)
    folder = lay_out(choose_volumes(settings.dataset_dir, distinct), -(-size // distinct), settings.work_dir / "cohort")
    for extra in sorted(folder.iterdir())[size:]:
        extra.unlink()
    return folder


def cines_folder(size: int, phases: int, settings: Settings) -> Path:
    """Lay out a cohort of so many cines, copies of one."""
    folder = settings.work_dir / "cohort"
    shutil.rmtree(folder, ignore_errors=True)
    first = folder / "cine0.nii.gz"
    write_cine(choose_volumes(settings.dataset_dir, 1)[0], first, CINE_SIZE, CINE_SLICES, phases, CINE_PIXEL_MM)
    for number in range(1, size):
        shutil.copyfile(first, folder / f"cine{number}.nii.gz")
    return folder


def segment(source: Path, processes: int, settings: Settings) -> Measured:
    """Segment a cohort."""
    target = settings.work_dir / "masks"
    shutil.rmtree(target, ignore_errors=True)
    env = {"MLFLOW_TRACKING_URI": f"sqlite:///{(settings.work_dir / 'mlruns.db').as_posix()}"}
    if processes == 1:
        return run(inference_command(sys.executable, source, target), env=env)
    env["OMP_NUM_THREADS"] = str(max(1, available_cores() // processes))
    return run(shared_inference_command(sys.executable, processes)(source, target), env=env, tree=True)


def sizes_table(found: Mapping[int, Mapping[int, Measured]], caption: str) -> Table:
    """Return the table of all cohorts.

    Args:
        found: by number of processes and of scans; what was not measured has empty cells.
        caption: of the table.
    """
    sizes = sorted({size for ones in found.values() for size in ones})
    columns = ["scans", *(f"{_named(processes)}: {what}" for processes in found for what in ("s", "GB"))]
    rows = [[f"{size:,}", *(text for ones in found.values() for text in _cells(ones.get(size)))] for size in sizes]
    return Table(columns, rows, caption)


def biobank_table(
    volumes: Mapping[int, Mapping[int, Measured]], cines: Mapping[int, Mapping[int, Measured]], cores: int
) -> Table:
    """Return what a biobank costs.

    Args:
        volumes: by number of processes and of volumes.
        cines: by number of processes and of cines, two numbers.
        cores: of the machine, all of them at work.
    """
    rows = []
    for processes, ones in volumes.items():
        line = fit_line(list(ones), [one.wall_s for one in ones.values()])
        (few, few_done), (many, many_done) = cines[processes].items()
        cine_s = seconds_a_unit((few, few_done.wall_s), (many, many_done.wall_s))
        hours = [cores * seconds * BIOBANK / 3600 for seconds in (VOLUMES_A_SCAN * line.slope, cine_s)]
        rows.append([_named(processes), *_line_cells(line, ones), f"{cine_s:.1f}", *(f"{hour:.0f}" for hour in hours)])
    columns = [
        "",
        "s a volume",
        "between sizes",
        "R²",
        "s a cine",
        f"core-hours, ED and ES of {BIOBANK:,} scans",
        f"core-hours, {BIOBANK:,} cines",
    ]
    return Table(columns, rows)


def raw(found: Mapping[int, Mapping[int, Measured]]) -> dict[str, dict[str, list[float | None]]]:
    """Return seconds, bytes of the largest process and of all, by processes and scans."""
    return {
        _named(processes): {str(size): [one.wall_s, one.peak_bytes, one.tree_bytes] for size, one in ones.items()}
        for processes, ones in found.items()
    }


def _line_cells(line: Line, ones: Mapping[int, Measured]) -> list[str]:
    steady = [(size, one.wall_s) for size, one in ones.items() if size >= STEADY_FROM]
    slopes = [seconds_a_unit(few, many) for few, many in pairwise(steady)]
    between = f"{min(slopes):.3f} to {max(slopes):.3f}" if slopes else ""
    return [f"{line.slope:.3f}", between, f"{line.r_squared:.4f}"]


def _cells(one: Measured | None) -> list[str]:
    if one is None:
        return ["", ""]
    memory = "" if one.peak_bytes is None else f"{one.peak_bytes / 1e9:.2f}"
    return [f"{one.wall_s:.1f}", memory if one.tree_bytes is None else f"{memory}, all {one.tree_bytes / 1e9:.2f}"]


def _named(processes: int) -> str:
    return "one process" if processes == 1 else f"{processes} processes"

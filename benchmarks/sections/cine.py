"""One large cine: memory, and time against slices, phases and pixels."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.cines import write_cine
from benchmarks.pairing import Line, fit_line, spread
from benchmarks.processes import Measured, run
from benchmarks.report import Goal, Section, Table
from benchmarks.settings import Settings, inference_command
from benchmarks.volumes import choose_volumes


class Size(NamedTuple):
    """Of a cine."""

    slices: int
    phases: int
    pixels: int = 512

    @property
    def text(self) -> str:
        """As in the table."""
        return f"{self.slices} x {self.phases} x {self.pixels}²"


LARGEST = Size(16, 30)
PHASES, SLICES, PIXELS = (10, 20, 30), (4, 8, 16), (256, 512, 768)
PIXELS_PHASES = 10
"""Of the cines that differ in their pixels."""
MEMORY_GOAL_GB = 2.0
STRAIGHT = 0.98
"""R² from which the time counts as linear."""
NOTES = [
    "A cine made of one ACDC volume: interpolated in its planes, its slices repeated, its phases alike but for noise; "
    "int16 NIfTI. README.md's command, whole process, HTML report included. Peak is that of the process's resident "
    "memory (getrusage).",
    "Each point is the median of its rounds. The lines are least squares through the points that differ in one number "
    f"alone: {LARGEST.pixels} x {LARGEST.pixels} pixels against phases ({LARGEST.slices} slices) and slices "
    f"({LARGEST.phases} phases), {LARGEST.slices} slices x {PIXELS_PHASES} phases against pixels. Planes of "
    "more pixels show the same heart finer: they are read and brought to the network's grid and back, on which nothing "
    "changes.",
]


def measure(settings: Settings) -> Section:
    """Time cines of several numbers of slices, phases and pixels."""
    rows = sizes_by_row(settings.quick)
    volume = choose_volumes(settings.dataset_dir, 1)[0]
    sizes = list(dict.fromkeys(size for row in rows.values() for size in row.values()))
    found: dict[Size, list[Measured]] = {size: [] for size in sizes}
    # large cines take long: two rounds show the noise
    for number in range(min(settings.repeats, 2)):
        for size in sizes if number % 2 == 0 else reversed(sizes):
            found[size].append(segment(volume, size, settings))
    seconds = {size: spread([one.wall_s for one in ones]).median for size, ones in found.items()}
    lines = {
        name: fit_line(list(row), [seconds[size] for size in row.values()])
        for name, row in rows.items()
        if len(row) > 1
    }
    largest = max(found, key=lambda size: size.slices * size.phases * size.pixels**2)
    goals = goals_of(largest, found[largest], lines)
    measured = {size.text: [one.wall_s for one in ones] for size, ones in found.items()}
    return Section("One large cine", [points_table(found), lines_table(lines)], NOTES, goals, {"wall_s": measured})


def sizes_by_row(quick: bool) -> dict[str, dict[float, Size]]:
    """Return the cines that differ in one number alone, by that number: phases, slices, megapixels of a slice."""
    if quick:
        return {"phases": {n: Size(4, n) for n in (1, 2)}, "slices": {n: Size(n, 2) for n in (2, 4)}}
    return {
        "phases": {n: Size(LARGEST.slices, n) for n in PHASES},
        "slices": {n: Size(n, LARGEST.phases) for n in SLICES},
        "megapixels of a slice": {n * n / 1e6: Size(LARGEST.slices, PIXELS_PHASES, n) for n in PIXELS},
    }


def segment(volume: Path, size: Size, settings: Settings) -> Measured:
    """Make a cine and segment it by a process of its own."""
    folder, target = settings.work_dir / "cine", settings.work_dir / "cine_masks"
    shutil.rmtree(target, ignore_errors=True)
    write_cine(volume, folder / "cine.nii", (size.pixels, size.pixels), size.slices, size.phases)
    env = {"MLFLOW_TRACKING_URI": f"sqlite:///{(settings.work_dir / 'mlruns.db').as_posix()}"}
    return run(inference_command(sys.executable, folder, target), env=env)


def points_table(found: dict[Size, list[Measured]]) -> Table:
    """Return the table of all cines, the smallest first."""
    rows = [
        [size.text, spread([one.wall_s for one in ones]).text(1), _gb(ones)]
        for size, ones in sorted(found.items(), key=lambda item: item[0].slices * item[0].phases * item[0].pixels ** 2)
    ]
    return Table(["slices x phases x pixels", "whole process s", "peak GB"], rows)


def lines_table(lines: dict[str, Line]) -> Table:
    """Return the lines through time against slices, phases and pixels."""
    rows = [
        [f"time against {name}", f"{line.slope:.2f}", f"{line.intercept:.1f}", f"{line.r_squared:.4f}"]
        for name, line in lines.items()
    ]
    return Table(["", "s each", "s at none", "R²"], rows)


def goals_of(size: Size, largest: Sequence[Measured], lines: dict[str, Line]) -> list[Goal]:
    """Return the goals on memory and on straightness.

    Args:
        size: of the largest cine.
        largest: its rounds.
        lines: by what the time is set against.
    """
    straight = min(lines[name].r_squared for name in ("phases", "slices"))
    what = f"one cine, {size.phases} phases x {size.slices} slices x {size.pixels} x {size.pixels}"
    rounds = " (one round)" if len(largest) == 1 else ""
    linear = f"R² {straight:.3f}{rounds}"
    goals = [Goal(f"{what}: time linear in slices and phases", "linear", linear, straight >= STRAIGHT)]
    if all(one.peak_bytes is not None for one in largest):
        peak_gb = max((one.peak_bytes or 0) / 1e9 for one in largest)
        reached = peak_gb <= MEMORY_GOAL_GB
        text = f"{peak_gb:.2f} GB{rounds}"
        goals.insert(0, Goal(f"{what}: peak memory", f"at most {MEMORY_GOAL_GB:.0f} GB", text, reached))
    return goals


def _gb(ones: Sequence[Measured]) -> str:
    peaks = [one.peak_bytes / 1e9 for one in ones if one.peak_bytes is not None]
    return f"{max(peaks):.2f}" if peaks else ""

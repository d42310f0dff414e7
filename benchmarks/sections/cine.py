"""One large cine: memory, and time against slices and phases."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.pairing import Line, fit_line, spread
from benchmarks.processes import Measured, run
from benchmarks.report import Goal, Section, Table
from benchmarks.settings import Settings, inference_command
from benchmarks.volumes import choose_volumes

SIZE, SLICES, PHASES = 512, 16, 30
MEMORY_GOAL_GB = 2.0
STRAIGHT = 0.98
"""R² from which the time counts as linear."""
NOTES = [
    f"A cine of {SIZE} x {SIZE} pixels made of one ACDC volume: interpolated in its planes, its slices repeated, its "
    "phases alike but for noise; int16 NIfTI. README.md's command, whole process, HTML report included. Peak is that "
    "of the process's resident memory (getrusage).",
    "Each point is the median of its rounds. The lines are least squares through the points of one row each.",
]


def measure(settings: Settings) -> Section:
    """Time cines of several numbers of slices and phases."""
    phases, slices = ((1, 2), (2, 4)) if settings.quick else ((10, 20, PHASES), (4, 8, SLICES))
    volume = choose_volumes(settings.dataset_dir, 1)[0]
    sizes = list(dict.fromkeys([*((slices[-1], n) for n in phases), *((n, phases[-1]) for n in slices)]))
    found: dict[tuple[int, int], list[Measured]] = {size: [] for size in sizes}
    # large cines take long: two rounds show the noise
    for number in range(min(settings.repeats, 2)):
        for size in sizes if number % 2 == 0 else reversed(sizes):
            found[size].append(segment(volume, *size, settings))
    seconds = {size: spread([one.wall_s for one in ones]).median for size, ones in found.items()}
    lines = {
        "phases": fit_line(phases, [seconds[slices[-1], n] for n in phases]),
        "slices": fit_line(slices, [seconds[n, phases[-1]] for n in slices]),
    }
    measured = {f"{size[0]} slices x {size[1]} phases": [one.wall_s for one in ones] for size, ones in found.items()}
    tables = [points_table(found), lines_table(lines)]
    return Section(
        "One large cine", tables, NOTES, goals_of(found[slices[-1], phases[-1]], lines), {"wall_s": measured}
    )


def segment(volume: Path, slices: int, phases: int, settings: Settings) -> Measured:
    """Make a cine and segment it by a process of its own."""
    folder, target = settings.work_dir / "cine", settings.work_dir / "cine_masks"
    shutil.rmtree(target, ignore_errors=True)
    write_cine(volume, folder / "cine.nii", slices, phases)
    env = {"MLFLOW_TRACKING_URI": f"sqlite:///{(settings.work_dir / 'mlruns.db').as_posix()}"}
    return run(inference_command(sys.executable, folder, target), env=env)


def write_cine(volume: Path, path: Path, slices: int, phases: int) -> None:
    """Write a cine made of one volume: its planes interpolated to :data:`SIZE`, its slices repeated, noise a phase."""
    image = nib.load(volume)
    spacing = image.header.get_zooms()[:3]
    plane = enlarged(np.asarray(image.dataobj, dtype=np.float32))
    stack = plane[..., np.linspace(0, plane.shape[2] - 1, slices).round().astype(int)]
    noise, generator = 0.01 * float(stack.max()), np.random.default_rng(0)
    cine = np.empty((*stack.shape, phases), np.int16)
    for phase in range(phases):
        cine[..., phase] = stack + noise * generator.standard_normal(stack.shape, dtype=np.float32)
    factors = [SIZE / n for n in image.shape[:2]]
    affine = np.diag([*(s / factor for s, factor in zip(spacing[:2], factors, strict=True)), spacing[2], 1.0])
    path.parent.mkdir(parents=True, exist_ok=True)
    made = nib.Nifti1Image(cine, affine)
    made.header.set_xyzt_units("mm", "msec")
    nib.save(made, path)


def enlarged(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Interpolate the planes of ``(X, Y, Z)`` to :data:`SIZE` pixels along both axes."""
    factors = (SIZE / voxels.shape[0], SIZE / voxels.shape[1], 1)
    return np.asarray(ndimage.zoom(voxels, factors, order=1), dtype=np.float32)


def points_table(found: dict[tuple[int, int], list[Measured]]) -> Table:
    """Return the table of all cines, the smallest first."""
    rows = [
        [f"{slices} x {phases}", spread([one.wall_s for one in ones]).text(1), _gb(ones)]
        for (slices, phases), ones in sorted(found.items(), key=lambda item: item[0][0] * item[0][1])
    ]
    return Table(["slices x phases", "whole process s", "peak GB"], rows)


def lines_table(lines: dict[str, Line]) -> Table:
    """Return the lines through time against slices and phases."""
    rows = [
        [f"time against {name}", f"{line.slope:.2f}", f"{line.intercept:.1f}", f"{line.r_squared:.4f}"]
        for name, line in lines.items()
    ]
    return Table(["", "s each", "s at none", "R²"], rows)


def goals_of(largest: Sequence[Measured], lines: dict[str, Line]) -> list[Goal]:
    """Return the goals on memory and on straightness."""
    straight = min(line.r_squared for line in lines.values())
    what = f"one cine, {PHASES} phases x {SLICES} slices x {SIZE} x {SIZE}"
    goals = [Goal(f"{what}: time linear in slices and phases", "linear", f"R² {straight:.3f}", straight >= STRAIGHT)]
    if all(one.peak_bytes is not None for one in largest):
        peak_gb = max((one.peak_bytes or 0) / 1e9 for one in largest)
        reached = peak_gb <= MEMORY_GOAL_GB
        goals.insert(0, Goal(f"{what}: peak memory", f"at most {MEMORY_GOAL_GB:.0f} GB", f"{peak_gb:.2f} GB", reached))
    return goals


def _gb(ones: Sequence[Measured]) -> str:
    peaks = [one.peak_bytes / 1e9 for one in ones if one.peak_bytes is not None]
    return f"{max(peaks):.2f}" if peaks else ""

"""How long until something happens, beside the bare imports that nobody can go below."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.machine import ROOT
from benchmarks.pairing import Spread, interleave, spread
from benchmarks.processes import CommandError, run
from benchmarks.report import Goal, Section, Table
from benchmarks.settings import BUNDLE, Settings, bundle_command, inference_command
from benchmarks.volumes import choose_volumes, copy_patients, lay_out

GOAL = 1.3
PATIENTS = 5
BARE, MASK, BATCH = "import torch, monai", "segment one volume: until the mask is there", "train: until the first batch"
NOTES = [
    "Wall seconds from the start of the process, in turns. Work: the same in a process that has everything imported "
    f"and did it before: one volume segmented; {PATIENTS} patients read into the cache and the first batch cut.",
    "Times: of the bare imports and the work together.",
]


def measure(settings: Settings) -> Section:
    """Time the imports, the first mask and the first batch."""
    scans = lay_out(choose_volumes(settings.dataset_dir, 1), 1, settings.work_dir / "one")
    patients = copy_patients(settings.dataset_dir, PATIENTS, settings.work_dir / f"patients{PATIENTS}")
    work = json.loads(
        run([*child("warm_work"), scans, patients, settings.work_dir / "warm"]).output.splitlines()[-1],
    )
    jobs = {
        BARE: lambda: run([sys.executable, "-c", "import torch, monai"]).wall_s,
        MASK: first_mask(scans, settings),
        BATCH: first_batch(patients, settings),
    }
    times = interleave(jobs, dict.fromkeys(jobs, settings.repeats))
    table, goals = compare(times, {MASK: work["mask_s"], BATCH: work["batch_s"]})
    return Section("Start-up", [table], NOTES, goals, {"times": times, "work": work})


def child(name: str) -> list[str | Path]:
    """Return the command of a module of ``benchmarks.children``."""
    return [sys.executable, "-m", f"benchmarks.children.{name}"]


def first_mask(scans: Path, settings: Settings) -> Callable[[], float]:
    """Return a job: seconds until the mask of a folder's only scan is there."""
    target = settings.work_dir / "one_mask"
    name = next(scans.glob("*.nii.gz")).name

    def once() -> float:
        shutil.rmtree(target, ignore_errors=True)
        return _first_s(inference_command(sys.executable, scans, target), target / name, settings)

    return once


def first_batch(patients: Path, settings: Settings) -> Callable[[], float]:
    """Return a job: seconds until a training has its first batch, where it is ended."""
    target, mark = settings.work_dir / "first_training", settings.work_dir / "first_batch"
    overlay = ROOT / "benchmarks" / "children" / "first_batch.yaml"
    files = [BUNDLE / "configs" / "train.yaml", ROOT / "configs" / "acdc.yaml", overlay]
    places = ["--dataset_dir", str(patients), "--output_dir", str(target), "--first_batch_file", str(mark)]
    command = [*bundle_command(sys.executable, "training", BUNDLE, files), *places]

    def once() -> float:
        mark.unlink(missing_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        return _first_s(command, mark, settings)

    return once


def _first_s(command: Sequence[str], until: Path, settings: Settings) -> float:
    env = {"MLFLOW_TRACKING_URI": f"sqlite:///{(settings.work_dir / 'mlruns.db').as_posix()}"}
    first_s = run(command, env=env, until=until).first_s
    if first_s is None:
        raise CommandError(f"{' '.join(command)} ended without {until}.")
    return first_s


def compare(times: dict[str, list[float]], work_s: dict[str, float]) -> tuple[Table, list[Goal]]:
    """Return the table and the goals.

    Args:
        times: seconds by round, of the bare imports and of what is beside them.
        work_s: seconds of the work alone, by name.
    """
    rows, goals = [[BARE, spread(times[BARE]).text(2), "", ""]], []
    for name, work in work_s.items():
        ratio = over_imports(times[name], times[BARE], work)
        rows.append([name, spread(times[name]).text(2), f"{work:.2f}", ratio.text(2)])
        reached = ratio.reached(2, "x")
        goals.append(Goal(f"{name}, of bare imports and work", f"at most {GOAL}x", reached, ratio.median <= GOAL))
    return Table(["", "s", "work s", "times"], rows), goals


def over_imports(seconds: Sequence[float], imports_s: Sequence[float], work_s: float) -> Spread:
    """Return how many times the imports and the work something takes, round by round."""
    return spread([second / (bare + work_s) for second, bare in zip(seconds, imports_s, strict=True)])

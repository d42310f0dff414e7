"""A cohort from NIfTI to NIfTI, whole process, beside the peers on the same volumes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import available_cores
from benchmarks.pairing import Spread, interleave, paired_ratio, seconds_a_unit, spread
from benchmarks.processes import run
from benchmarks.report import Goal, Section, Table
from benchmarks.settings import Settings, bundle_command, inference_command, shared_inference_command
from benchmarks.volumes import choose_volumes, lay_out

PEERS_DIR = Path(__file__).resolve().parents[1] / "peers"
OURS = "this project"
COLUMNS = [
    "program",
    "s a volume",
    "volumes a minute",
    "start-up s",
    "times ours",
    "whole process s",
    "times ours",
    "GB",
]
MANY_VOLUMES = 100
GOALS = {  # times ours
    "nnU-Net 2D": 25.0,
    "nnU-Net 3D full resolution": 150.0,
    "myopari": 20.0,
    "MONAI zoo UNet, SliceInferer": 2.0,
}
NOTES = [
    "Every program reads NIfTI files and writes masks as NIfTI, run as its users run it, in a process of its own. Each "
    "runs on the volumes once and on several copies of them: the difference a volume is `s a volume`, which a large "
    "cohort pays; the rest is start-up (imports, weights).",
    f"Whole process: {MANY_VOLUMES} volumes, start-up included, worked out from these two.",
    "Medians of rounds in which the programs take turns, lowest and highest in brackets; ratios round by round.",
    "nnU-Net and MONAI's networks have random weights, myopari and this project their own. This project also measures "
    "each scan, writes its numbers and an MLflow run; the others write the mask alone.",
    "nnU-Net's plans are made by its own planner from all patients. MONAI's ways are the zoo's network, "
    "preprocessing and inferer, and a 3D SegResNet with a sliding window.",
    "`processes of 1 thread`: `torchrun` with the bundle's `multi_gpu_inference.yaml`, a process a core, which share "
    "the scans. The goals are against these; the columns `times ours` against the plain command.",
    "GB: memory of the largest process of each program.",
    "This project's network is computed in bfloat16 where the processor has instructions for it, the others in "
    "float32, each as its users get it.",
]


@dataclass(frozen=True)
class Program:
    """What segments a folder.

    Attributes:
        name: in the table.
        command: of input and output folder.
        copies: how many times the smaller cohort the larger one is: as many as take some times the second or two by
            which start-up varies.
        rounds: at most so many.
        processes: that share the scans; the smaller cohort has one for each at least.
        env: variables that the command is started with.
    """

    name: str
    command: Callable[[Path, Path], Sequence[str | Path]]
    copies: int
    rounds: int = 1000
    processes: int = 1
    env: Mapping[str, str] = field(default_factory=dict)

    def copies_of(self, volumes: int) -> tuple[int, int]:
        """Return the copies of so many volumes in the smaller and the larger cohort."""
        few = -(-self.processes // volumes)
        return few, few * self.copies


def measure(settings: Settings) -> Section:
    """Time all programs."""
    slow_volumes, fast_volumes = (1, 2) if settings.quick else (2, 6)
    groups = [(fast_volumes, fast_programs(settings))]
    if settings.peers_python:
        groups.insert(0, (slow_volumes, slow_programs(settings)))
    tables, goals, measured = [], [], {}
    for number, programs in groups:
        volumes = choose_volumes(settings.dataset_dir, number)
        times = time_programs(programs, volumes, settings)
        table, ratios = compare(times, programs, number)
        tables.append(table)
        goals += [goal_of(name, ratio) for name, ratio in ratios.items()]
        measured[table.caption] = {"volumes": [path.name for path in volumes], "times": times}
    return Section("Cohort inference, NIfTI to NIfTI", tables, [*NOTES, *left_out(settings)], goals, measured)


def left_out(settings: Settings) -> list[str]:
    """Return notes on what was not measured."""
    if not settings.peers_python:
        return ["nnU-Net and myopari were not measured: no `--peers_python`."]
    return [] if settings.slow else ["nnU-Net 3D with mirroring was not run (`--slow` does): minutes a volume."]


def slow_programs(settings: Settings) -> list[Program]:
    """Return this project and the peers that take seconds a volume."""
    models = prepare_nnunet(settings) / "models"
    script = PEERS_DIR / "myopari_predict.py"
    programs = [
        Program(OURS, ours, 2 if settings.quick else 64),
        shared_by_cores(2 if settings.quick else 96),
        Program("myopari", lambda source, target: [settings.peers_python, script, source, target], 4),
        Program("nnU-Net 2D", nnunet(settings, models / "2d", mirroring=False), 6),
        Program("nnU-Net 2D, mirrored", nnunet(settings, models / "2d", mirroring=True), 4, rounds=1),
        Program("nnU-Net 3D full resolution", nnunet(settings, models / "3d_fullres", mirroring=False), 4, rounds=1),
    ]
    if settings.slow:
        mirrored = nnunet(settings, models / "3d_fullres", mirroring=True)
        programs.append(Program("nnU-Net 3D full resolution, mirrored", mirrored, 2, rounds=1))
    return programs


def fast_programs(settings: Settings) -> list[Program]:
    """Return this project, by its back ends, and MONAI's own ways; all run by this interpreter."""
    ours_copies, shared_copies, stock_copies = (3, 6, 3) if settings.quick else (20, 32, 16)
    return [
        Program(OURS, ours, ours_copies),
        shared_by_cores(shared_copies),
        *(Program(f"{OURS}, {backend}", by_backend(backend), ours_copies) for backend in settings.backends),
        Program("MONAI zoo UNet, SliceInferer", stock("zoo_unet.yaml"), stock_copies),
        Program("MONAI SegResNet 3D, SlidingWindowInferer", stock("segresnet.yaml"), 2),
    ]


def ours(source: Path, target: Path) -> Sequence[str | Path]:
    """Return README.md's command."""
    return inference_command(sys.executable, source, target)


def shared_by_cores(copies: int) -> Program:
    """Return the same by ``torchrun``: a process of one thread for each core, which share the scans."""
    cores = available_cores()
    command = shared_inference_command(sys.executable, cores)
    return Program(shared_name(), command, copies, processes=cores, env={"OMP_NUM_THREADS": "1"})


def shared_name() -> str:
    """Return the name of :func:`shared_by_cores` in the table."""
    return f"{OURS}, {available_cores()} processes of 1 thread"


def by_backend(backend: str) -> Callable[[Path, Path], Sequence[str | Path]]:
    """Return README.md's command with a back end."""
    return lambda source, target: [*ours(source, target), "--backend", backend]


def stock(overlay: str) -> Callable[[Path, Path], Sequence[str | Path]]:
    """Return the command of a stock MONAI bundle configuration."""
    files = [PEERS_DIR / "stock_inference.yaml", PEERS_DIR / overlay]
    command = bundle_command(sys.executable, "evaluating", PEERS_DIR, files)
    return lambda source, target: [*command, "--dataset_dir", source, "--output_dir", target]


def nnunet(settings: Settings, model: Path, mirroring: bool) -> Callable[[Path, Path], Sequence[str | Path]]:
    """Return nnU-Net's own prediction command."""
    program = Path(settings.peers_python).parent / "nnUNetv2_predict_from_modelfolder"
    options = ["-m", model, "-f", "0", "-device", "cpu", *([] if mirroring else ["--disable_tta"])]
    return lambda source, target: [program, "-i", source, "-o", target, *options]


def prepare_nnunet(settings: Settings) -> Path:
    """Make nnU-Net's plans and models, once, and return their folder."""
    number = 20 if settings.quick else 100
    folder = settings.work_dir / f"nnunet{number}"
    script = PEERS_DIR / "nnunet_prepare.py"
    run([settings.peers_python, script, settings.dataset_dir, folder, "--num_patients", str(number)])
    return folder


def time_programs(
    programs: Sequence[Program], volumes: Sequence[Path], settings: Settings
) -> dict[str, dict[str, list[float]]]:
    """Run all programs in turns.

    Returns:
        By program: ``few_s`` and ``many_s``, wall seconds by round; ``few`` and ``many``, the numbers of volumes; and
        ``peak_gb``.
    """
    source, target = settings.work_dir / "cohort", settings.work_dir / "masks"
    env = {"MLFLOW_TRACKING_URI": f"sqlite:///{(settings.work_dir / 'mlruns.db').as_posix()}"}
    peaks: dict[str, list[float]] = {program.name: [] for program in programs}

    def job(program: Program, copies: int) -> Callable[[], float]:
        def once() -> float:
            lay_out(volumes, copies, source)
            shutil.rmtree(target, ignore_errors=True)
            done = run(program.command(source, target), env={**env, **program.env})
            require_masks(program.name, target, len(volumes) * copies)
            peaks[program.name] += [done.peak_bytes / 1e9] if done.peak_bytes else []
            return done.wall_s

        return once

    copies = {program.name: program.copies_of(len(volumes)) for program in programs}
    jobs, rounds = {}, {}
    for program in programs:
        for size, number in zip(("few", "many"), copies[program.name], strict=True):
            jobs[f"{program.name}/{size}"] = job(program, number)
            rounds[f"{program.name}/{size}"] = min(program.rounds, settings.repeats)
    times = interleave(jobs, rounds)
    return {
        name: {
            "few": [len(volumes) * few],
            "many": [len(volumes) * many],
            "few_s": times[f"{name}/few"],
            "many_s": times[f"{name}/many"],
            "peak_gb": peaks[name],
        }
        for name, (few, many) in copies.items()
    }


def require_masks(name: str, folder: Path, number: int) -> None:
    """Make sure that a program did the work that it is timed for.

    Raises:
        RuntimeError: there are fewer masks than scans.
    """
    found = len(list(folder.rglob("*.nii.gz")))
    if found != number:
        raise RuntimeError(f"{name} must write {number} masks into {folder}, found {found}.")


def compare(
    times: dict[str, dict[str, list[float]]], programs: Sequence[Program], number: int
) -> tuple[Table, dict[str, Spread]]:
    """Return the table of a group, and how many times our seconds a volume each peer takes, ours with all cores."""
    each = {name: per_volume(found) for name, found in times.items()}
    rows, ratios = [], {}
    for program in programs:
        name = program.name
        seconds, starts, wholes = each[name]
        shown = (
            [paired_ratio(seconds, each[OURS][0]).text(1), paired_ratio(wholes, each[OURS][2]).text(1)]
            if name != OURS
            else ["", ""]
        )
        if name in GOALS:
            ratios[name] = paired_ratio(seconds, each[shared_name()][0])
        peak = f"{max(times[name]['peak_gb']):.1f}" if times[name]["peak_gb"] else ""
        median_s = spread(seconds).median
        rows.append(
            [
                name,
                spread(seconds).text(2),
                f"{60 / median_s:.0f}" if median_s > 0 else "",
                spread(starts).text(1),
                shown[0],
                spread(wholes).text(1),
                shown[1],
                peak,
            ]
        )
    return Table(COLUMNS, rows, f"{number} volumes"), ratios


def per_volume(found: dict[str, list[float]]) -> tuple[list[float], list[float], list[float]]:
    """Return seconds a volume, start-up seconds, and seconds of a cohort of :data:`MANY_VOLUMES`, by round."""
    few, many = int(found["few"][0]), int(found["many"][0])
    pairs = list(zip(found["few_s"], found["many_s"], strict=True))
    seconds = [seconds_a_unit((few, few_s), (many, many_s)) for few_s, many_s in pairs]
    starts = [few_s - few * slope for (few_s, _), slope in zip(pairs, seconds, strict=True)]
    wholes = [start + MANY_VOLUMES * slope for start, slope in zip(starts, seconds, strict=True)]
    return seconds, starts, wholes


def goal_of(name: str, ratio: Spread) -> Goal:
    """Return the goal against a peer."""
    goal = GOALS[name]
    return Goal(
        f"seconds a volume, {name} against ours, a process a core",
        f"{goal:.0f}x",
        ratio.reached(1, "x"),
        ratio.median >= goal,
    )

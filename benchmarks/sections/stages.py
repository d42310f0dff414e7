"""Where the time of a volume goes, and how much of the machine's peak the network reaches."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.pairing import Spread, spread
from benchmarks.processes import run
from benchmarks.report import Goal, Section, Table
from benchmarks.sections.inference import OURS, prepare_nnunet
from benchmarks.settings import Settings
from benchmarks.volumes import choose_volumes, lay_out

STAGES = {
    "load": "load the weights, for each volume",
    "read": "read the file",
    "preprocess": "preprocess (grid, intensity)",
    "network": "network",
    "windows": "find the heart, cut and join windows",
    "invert": "invert to the scan's grid",
    "postprocess": "labels (softmax, argmax, largest component)",
    "write": "write the mask",
    "measure": "measure, write the numbers",
    "other": "the rest (engine, listings)",
}
ZOO = "MONAI zoo UNet, SliceInferer"
MANY_COPIES = 6
"""Of the volumes for the programs that take a fraction of a second for one."""
OTHERS_GOAL = 0.20
PEAK_GOAL = 0.60
NOTES = [
    "In one process, after a cohort that warms up. Each stage without the stages within it; share of the wall time of "
    "the cohort, medians of rounds. A scan is read and another one written by threads beside the network: stages add "
    "up to more than the wall time then, and the rest is negative.",
    "Peak: the fastest of large 3x3 convolutions and matrix products in the network's precision, measured in the same "
    "process. FLOPs by `torch.utils.flop_counter`, two for a multiplication with its addition, of the network before "
    "layers are fused. The network by itself is timed after the cohort on noise of the sizes that the cohort gave it, "
    "the fastest of 8 repeats each; within the cohort it has its stage's time, caches and cores shared with the rest.",
    f"Beside the peers: two volumes, {MANY_COPIES} copies of each for this project and MONAI's; each program in one "
    "process of its own, after a round that warms up, medians of rounds. nnU-Net by its "
    "`predict_from_files_sequential`: its command reads and writes beside the network, in other processes. An empty "
    "cell: the program has no such stage, or it is within another one. This project's network is computed in bfloat16 "
    "where the processor has instructions for it, the others in float32.",
]


def measure(settings: Settings) -> Section:
    """Segment a cohort in a process of its own, which watches itself."""
    number, rounds = (2, 1) if settings.quick else (12, settings.repeats)
    source = lay_out(choose_volumes(settings.dataset_dir, number), 1, settings.work_dir / "stages")
    command = [sys.executable, "-m", "benchmarks.children.stage_times", source, settings.work_dir / "stages_masks"]
    found = json.loads(run([*command, "--rounds", str(rounds)]).output.splitlines()[-1])
    stages, others = stage_table(found["rounds"])
    precision = "bfloat16" if found["amp"] else "float32"
    peak, share = peak_table(found["shapes"], found["peak_flops"], precision)
    goals = goals_of(others, share, share_within(found["rounds"], found["shapes"], found["peak_flops"]))
    programs = peers_rounds(settings)
    tables = [stages, peak, programs_table(programs)]
    return Section("Stages of a volume", tables, NOTES, goals, {**found, "programs": programs})


def peers_rounds(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Return the rounds of all programs on the same volumes, by program."""
    volumes = choose_volumes(settings.dataset_dir, 1 if settings.quick else 2)
    few = lay_out(volumes, 1, settings.work_dir / "stages_few")
    many = lay_out(volumes, MANY_COPIES, settings.work_dir / "stages_many")
    commands: dict[str, list[str | Path]] = {
        OURS: [sys.executable, "-m", "benchmarks.children.stage_times", many],
        ZOO: [sys.executable, "-m", "benchmarks.peers.stock_stages", "zoo_unet.yaml", many],
    }
    if settings.peers_python:
        model = prepare_nnunet(settings) / "models" / "2d"
        peer: list[str | Path] = [settings.peers_python, "-m"]
        commands["nnU-Net 2D"] = [*peer, "benchmarks.peers.nnunet_stages", model, few]
        commands["myopari"] = [*peer, "benchmarks.peers.myopari_stages", few]
    found = {}
    for place, (name, command) in enumerate(commands.items()):
        output_dir = settings.work_dir / f"stages_masks{place}"
        shutil.rmtree(output_dir, ignore_errors=True)
        output = run([*command, output_dir, "--rounds", str(settings.repeats)]).output
        found[name] = json.loads(output.splitlines()[-1])["rounds"]
    return found


def programs_table(programs: Mapping[str, list[dict[str, Any]]]) -> Table:
    """Return the table of the stages of all programs, milliseconds a volume.

    Args:
        programs: rounds as for :func:`stage_table`, by program.
    """
    rows = [[title, *(stage_ms(stage, rounds) for rounds in programs.values())] for stage, title in STAGES.items()]
    walls = [spread([1000 * found["wall_s"] / found["volumes"] for found in rounds]) for rounds in programs.values()]
    rows.append(["all", *(wall.text(0) for wall in walls)])
    return Table(["ms a volume", *programs], rows, "Beside the peers")


def stage_ms(stage: str, rounds: list[dict[str, Any]]) -> str:
    """Return the milliseconds a volume of a stage, empty where the program has none."""
    if stage != "other" and not any(stage in found["stages"] for found in rounds):
        return ""
    return f"{spread([1000 * seconds_of(stage, found) / found['volumes'] for found in rounds]).median:.1f}"


def goals_of(others: Spread, alone: float, within: Spread) -> list[Goal]:
    """Return the goals on everything but the network, and on the network by itself and within the cohort."""
    peak = f"{100 * PEAK_GOAL:.0f} %"
    return [
        Goal(
            "everything but the network, share of a cohort's wall time",
            f"at most {100 * OTHERS_GOAL:.0f} %",
            in_percent(others),
            others.median <= OTHERS_GOAL,
        ),
        Goal(
            "share of the convolution peak reached in the network, by itself (fastest of 8)",
            peak,
            f"{100 * alone:.0f} %",
            alone >= PEAK_GOAL,
        ),
        Goal(
            "share of the convolution peak reached in the network, within the cohort",
            peak,
            in_percent(within),
            within.median >= PEAK_GOAL,
        ),
    ]


def in_percent(share: Spread) -> str:
    """Return a share for a goal."""
    return Spread(100 * share.median, 100 * share.low, 100 * share.high, share.count).reached(0, " %")


def stage_table(rounds: list[dict[str, Any]]) -> tuple[Table, Spread]:
    """Return the table of the stages, and the share of everything but the network.

    Args:
        rounds: each with ``wall_s``, ``stages`` (seconds by stage) and ``volumes``.
    """
    rows = []
    for stage, title in STAGES.items():
        if stage == "load":
            continue  # once a process
        times = [1000 * seconds_of(stage, found) / found["volumes"] for found in rounds]
        shares = [100 * seconds_of(stage, found) / found["wall_s"] for found in rounds]
        rows.append([title, spread(times).text(1), spread(shares).text(1)])
    walls = spread([1000 * found["wall_s"] / found["volumes"] for found in rounds])
    rows.append(["all", walls.text(1), "100"])
    return Table(["stage", "ms a volume", "% of the wall time"], rows), others_share(rounds)


def seconds_of(stage: str, found: dict[str, Any]) -> float:
    """Return the seconds of a stage in a round; ``other`` is what no stage accounts for."""
    if stage == "other":
        return float(found["wall_s"] - sum(found["stages"].values()))
    return float(found["stages"].get(stage, 0.0))


def others_share(rounds: list[dict[str, Any]]) -> Spread:
    """Return the share of everything but the network in the wall time."""
    return spread([1 - seconds_of("network", found) / found["wall_s"] for found in rounds])


def share_within(rounds: list[dict[str, Any]], shapes: list[dict[str, Any]], peak_flops: float) -> Spread:
    """Return the share of the peak that the network reached in the time that it had within the cohort.

    Args:
        rounds: as for :func:`stage_table`.
        shapes: see :func:`peak_table`.
        peak_flops: a second.
    """
    flops = sum(item["calls"] * item["flops"] for item in shapes)
    return spread([flops / seconds_of("network", found) / peak_flops for found in rounds])


def peak_table(shapes: list[dict[str, Any]], peak_flops: float, precision: str) -> tuple[Table, float]:
    """Return the table of the network's inputs, and the share of the peak over all of them.

    Args:
        shapes: each with ``shape``, ``calls``, ``flops`` and ``seconds`` a call.
        peak_flops: a second.
        precision: of both, in words.
    """
    ordered = sorted(shapes, key=lambda item: -item["calls"] * item["flops"])
    rows = [
        [
            "x".join(map(str, item["shape"])),
            f"{item['calls']:g}",
            f"{item['flops'] / 1e9:.1f}",
            f"{1000 * item['seconds']:.1f}",
            f"{item['flops'] / item['seconds'] / 1e9:.0f}",
            f"{100 * item['flops'] / item['seconds'] / peak_flops:.0f}",
        ]
        for item in ordered
    ]
    flops = sum(item["calls"] * item["flops"] for item in shapes)
    seconds = sum(item["calls"] * item["seconds"] for item in shapes)
    share = flops / seconds / peak_flops
    rows.append(
        ["all", "", f"{flops / 1e9:.1f}", f"{1000 * seconds:.1f}", f"{flops / seconds / 1e9:.0f}", f"{100 * share:.0f}"]
    )
    columns = ["input of the network", "calls a cohort", "GFLOP", "ms", "GFLOP/s", "% of peak"]
    return Table(columns, rows, f"Peak of this machine in {precision}: {peak_flops / 1e9:.0f} GFLOP/s."), share

"""An epoch: what of it the network takes, and how long it takes beside others."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.pairing import interleave, paired_ratio, spread
from benchmarks.processes import run
from benchmarks.report import Goal, Section, Table
from benchmarks.sections.inference import PEERS_DIR, prepare_nnunet
from benchmarks.settings import Settings
from benchmarks.volumes import copy_patients

OURS = "this project"
STOCK = {"stock MONAI, 0 workers": 0, "stock MONAI, 2 workers": 2}
BATCH = 8
"""Slices an iteration, of train.yaml and of the stock pipeline."""
SHARE_GOAL = 0.90
RATIO_GOAL = 2.0
STAGES = ("forward", "loss", "backward", "optimizer", "augment", "cut slices", "rest")
NOTES = [
    "Whole trainings of few epochs on the same patients, in processes that take turns; the first epoch of each warms "
    "up. An epoch counts without validation, handlers included.",
    "Stock MONAI: CacheDataset of the preprocessed volumes, random transforms a sample of the same kinds and ranges, "
    "DataLoader, SupervisedTrainer; the same network, loss, optimizer, and 8 slices of 128 x 128 an iteration. Since "
    "the number of iterations differs a little, times are those of an iteration.",
    "Forward and backward include the loss. This project's network is computed in bfloat16 where the processor has "
    "instructions for it, as its users get it; stock MONAI in float32, since its mixed precision is for GPUs.",
]


def measure(settings: Settings) -> Section:
    """Train by all ways."""
    patients, epochs = (5, 2) if settings.quick else (10, 3)
    dataset_dir = copy_patients(settings.dataset_dir, patients, settings.work_dir / f"patients{patients}")
    found: dict[str, list[list[dict[str, Any]]]] = {OURS: [], **{name: [] for name in STOCK}}
    jobs = {name: job(command, found[name]) for name, command in commands(settings, dataset_dir, epochs).items()}
    times = interleave(jobs, dict.fromkeys(jobs, settings.repeats))
    stages, share = stage_table([epoch for epochs_ in found[OURS] for epoch in epochs_])
    table, goals = compare(times, share)
    tables = [table, stages]
    measured: dict[str, Any] = {"epochs": found}
    if settings.peers_python:
        measured["nnunet"] = nnunet_iterations(settings)
        tables.append(nnunet_table(measured["nnunet"], times[OURS]))
    return Section("Training", tables, NOTES, goals, measured)


def commands(settings: Settings, dataset_dir: Path, epochs: int) -> dict[str, list[str | Path]]:
    """Return what trains, by name."""
    ours = [sys.executable, "-m", "benchmarks.children.train_epochs", dataset_dir, settings.work_dir / "training"]
    stock = [sys.executable, PEERS_DIR / "stock_training.py", dataset_dir]
    ways: dict[str, list[str | Path]] = {OURS: [*ours]}
    ways |= {name: [*stock, "--num_workers", str(workers)] for name, workers in STOCK.items()}
    return {name: [*command, "--epochs", str(epochs)] for name, command in ways.items()}


def job(command: list[str | Path], found: list[list[dict[str, Any]]]) -> Callable[[], float]:
    """Return a training that keeps its epochs and returns the seconds of an iteration."""

    def once() -> float:
        output = run(command, env={"PYTHONPATH": str(PEERS_DIR.parents[1])}).output
        epochs = json.loads(output.splitlines()[-1])["epochs"]
        found.append(epochs)
        return sum(epoch["wall_s"] for epoch in epochs) / sum(epoch["iterations"] for epoch in epochs)

    return once


def stage_table(epochs: list[dict[str, Any]]) -> tuple[Table, float]:
    """Return the stages of our epochs, and the share of forward and backward.

    Args:
        epochs: each with ``wall_s``, ``iterations`` and ``stages``, seconds by stage.
    """
    rows = []
    for stage in STAGES:
        seconds = [seconds_of(stage, epoch) for epoch in epochs]
        each = [1000 * second / epoch["iterations"] for second, epoch in zip(seconds, epochs, strict=True)]
        shares = [100 * second / epoch["wall_s"] for second, epoch in zip(seconds, epochs, strict=True)]
        rows.append([stage, spread(each).text(1), spread(shares).text(1)])
    network = [sum(seconds_of(s, epoch) for s in ("forward", "loss", "backward")) / epoch["wall_s"] for epoch in epochs]
    return Table(["stage", "ms an iteration", "% of the epoch"], rows, "Where our epoch goes"), spread(network).median


def seconds_of(stage: str, epoch: dict[str, Any]) -> float:
    """Return the seconds of a stage in an epoch; ``rest`` is what no stage accounts for."""
    if stage == "rest":
        return float(epoch["wall_s"] - sum(epoch["stages"].values()))
    return float(epoch["stages"].get(stage, 0.0))


def compare(times: dict[str, list[float]], share: float) -> tuple[Table, list[Goal]]:
    """Return the table of the ways to train, and the goals; the faster stock pipeline is the one to beat."""
    ratios = {name: paired_ratio(times[name], times[OURS]) for name in STOCK}
    rows = [
        [
            name,
            spread([1000 * second for second in seconds]).text(0),
            f"{BATCH / spread(seconds).median:.1f}",
            ratios[name].text(2) if name in ratios else "",
        ]
        for name, seconds in times.items()
    ]
    best = min(ratios.values(), key=lambda ratio: ratio.median)
    goals = [
        Goal("share of an epoch spent in forward and backward", "90 %", f"{100 * share:.0f} %", share >= SHARE_GOAL),
        Goal("epoch of the faster stock pipeline against ours", "2x", best.reached(2, "x"), best.median >= RATIO_GOAL),
    ]
    return Table(["pipeline", "ms an iteration", "slices a second", "times ours"], rows), goals


def nnunet_iterations(settings: Settings) -> dict[str, Any]:
    """Return seconds of some iterations of nnU-Net's trainer, and the shape of its batch."""
    folder = prepare_nnunet(settings)
    script, number = PEERS_DIR / "nnunet_training.py", 1 if settings.quick else 3
    command = [settings.peers_python, script, folder, "--iterations", str(number)]
    lines = run(command).output.splitlines()
    return dict(json.loads(next(line for line in lines if line.startswith('{"seconds"'))))


def nnunet_table(found: dict[str, Any], ours: list[float]) -> Table:
    """Return nnU-Net's trainer beside ours, by slices and by pixels."""
    seconds, shape = spread(found["seconds"]).median, found["batch"]
    pixels = math.prod(shape[2:])
    ours_s = spread(ours).median
    rows = [
        [
            OURS,
            f"{BATCH} x 128 x 128",
            f"{1 / ours_s:.2f}",
            f"{BATCH / ours_s:.1f}",
            f"{BATCH * 128**2 / ours_s / 1e6:.2f}",
        ],
        [
            "nnU-Net 2D",
            " x ".join(str(n) for n in (shape[0], *shape[2:])),
            f"{1 / seconds:.3f}",
            f"{shape[0] / seconds:.1f}",
            f"{shape[0] * pixels / seconds / 1e6:.2f}",
        ],
    ]
    columns = ["trainer", "batch", "iterations a second", "slices a second", "megapixels a second"]
    return Table(columns, rows, "nnU-Net's own trainer, its own batch and augmentation")

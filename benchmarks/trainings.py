"""Trainings that a comparison needs: run some at a time, left as they are where they are finished."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT
from benchmarks.settings import BUNDLE
from pipeline.workflows.launch import BundleTraining, SideBySide, describe_exit, run_training_process
from pipeline.workflows.training_record import TrainingRecord


@dataclass(frozen=True)
class Training:
    """One training on ACDC.

    Attributes:
        label: name of its run and of its folder.
        overlays: on train.yaml and acdc.yaml.
        settings: of the configuration.
    """

    label: str
    overlays: Sequence[Path] = ()
    settings: Mapping[str, object] = field(default_factory=dict)

    def words(self, more: Mapping[str, object]) -> list[str]:
        """Return the words behind ``python`` of the README's training."""
        files = [BUNDLE / "configs" / "train.yaml", ROOT / "configs" / "acdc.yaml", *self.overlays]
        listed = "[" + ",".join(f"'{file.as_posix()}'" for file in files) + "]"
        return BundleTraining(str(BUNDLE), listed).words(**self.settings, **more)


def train_all(trainings: Sequence[Training], output_dir: Path, common: Mapping[str, object], jobs: int) -> list[str]:
    """Train all, tell of each how it went, and return the labels of those that are finished.

    Args:
        trainings: in this order.
        output_dir: each has a folder in it.
        common: settings of all.
        jobs: at a time, each with its share of the cores; what it says goes to ``training.log`` of its folder.
    """

    def train(training: Training) -> bool:
        folder = output_dir / training.label
        if is_finished(folder):
            print(f"{training.label}: finished before", flush=True)
            return True
        more = {"output_dir": folder, "run_name": training.label, "resume": "auto", **common}
        beside = SideBySide(jobs, folder / "training.log")
        status = run_training_process(training.words(more), beside=beside)
        print(f"{training.label}: {describe_exit(status, f'in {beside.log}') if status else 'trained'}", flush=True)
        return is_finished(folder)

    with ThreadPoolExecutor(jobs) as pool:
        finished = list(pool.map(train, trainings))
    return [training.label for training, done in zip(trainings, finished, strict=True) if done]


def is_finished(folder: Path) -> bool:
    """Return whether a training has come to its end."""
    record = TrainingRecord.load(folder)
    return record is not None and record.finished


def summary_of(folder: Path) -> dict[str, Any]:
    """Return what a training's or an evaluation's ``summary.json`` has."""
    return dict(json.loads((folder / "summary.json").read_text(encoding="utf-8")))

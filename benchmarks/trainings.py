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
from pipeline.errors import InputError
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
        """Return the words behind ``python`` of the README's training; ``more`` comes on top of the settings."""
        return self._bundle_training(more).words()

    def record(self, more: Mapping[str, object]) -> TrainingRecord:
        """Return what a folder would say of this training."""
        parser = self._bundle_training(more).parser()
        return TrainingRecord.describe(parser, parser.get_parsed_content("split"))

    def _bundle_training(self, more: Mapping[str, object]) -> BundleTraining:
        files = [BUNDLE / "configs" / "train.yaml", ROOT / "configs" / "acdc.yaml", *self.overlays]
        listed = "[" + ",".join(f"'{file.as_posix()}'" for file in files) + "]"
        settings = {key: str(value) for key, value in {**self.settings, **more}.items()}
        return BundleTraining(str(BUNDLE), listed, settings)


def train_all(trainings: Sequence[Training], output_dir: Path, common: Mapping[str, object], jobs: int) -> None:
    """Train all, those that are finished left as they are, and tell of each how it went.

    Args:
        trainings: in this order.
        output_dir: each has a folder in it.
        common: settings of all.
        jobs: at a time, each with its share of the cores; what it says goes to ``training.log`` of its folder.

    Raises:
        InputError: a folder has a training of other settings; or trainings failed, when all others are finished.
    """
    for training in trainings:
        require_same(output_dir / training.label, training.record(common))

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
    failed = [training.label for training, done in zip(trainings, finished, strict=True) if not done]
    if failed:
        raise InputError(f"{', '.join(failed)} failed, see above. The same command again goes on with them.")


def require_same(folder: Path, wanted: TrainingRecord) -> None:
    """Refuse a folder with a training of other data or settings: its figures would stand for what they are not.

    Raises:
        InputError: names what differs.
    """
    record = TrainingRecord.load(folder)
    differences = record.differences(wanted, code=False) if record else []
    if differences:
        raise InputError(f"{folder} belongs to another training: {'; '.join(differences)}. Give another --output_dir.")


def is_finished(folder: Path) -> bool:
    """Return whether a training has come to its end."""
    record = TrainingRecord.load(folder)
    return record is not None and record.finished


def summary_of(folder: Path) -> dict[str, Any]:
    """Return what a training's or an evaluation's ``summary.json`` has."""
    return dict(json.loads((folder / "summary.json").read_text(encoding="utf-8")))


def whole_numbers(text: str) -> list[int]:
    """Split ``0,1,2``."""
    return [int(word) for word in text.split(",")]

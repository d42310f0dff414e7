"""Train by the bundle's train.yaml and say how long the epochs took, and what of them the network.

    python -m benchmarks.children.train_epochs DATASET_DIR OUTPUT_DIR [--epochs 4]

The last line is JSON: ``epochs``, each with ``wall_s``, ``iterations`` and ``stages`` (seconds by stage). An epoch
counts from its start to the end of its last iteration, validation left out; the first one warms up and is left out.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser

from benchmarks.machine import ROOT
from benchmarks.settings import BUNDLE
from benchmarks.stage_clock import StageClock
from pipeline.data.slices import SliceDataset
from pipeline.engines import PrepareAugmentedBatch


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset_dir", type=Path)
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("--epochs", type=int, default=4, help="the first warms up (default: 4)")
    options = parser.parse_args()
    clock = StageClock()
    # before the schedule takes hold of the method
    with clock.watching((torch.optim.AdamW, "step", "optimizer")):
        epochs = train(read_training(options.dataset_dir, options.output_dir, options.epochs), clock, options.epochs)
    print(json.dumps({"epochs": epochs}))


def train(config: ConfigParser, clock: StageClock, last: int) -> list[dict[str, Any]]:
    """Train, and return the epochs."""
    trainer = config.get_parsed_content("train#trainer")
    config.get_parsed_content("ema").attach(trainer)
    epochs = EpochTimes(clock, last)
    epochs.attach(trainer)
    watched = clock.watching(
        (SliceDataset, "__getitem__", "cut slices"),
        (PrepareAugmentedBatch, "__call__", "augment"),
        (type(trainer.network), "__call__", "forward"),
        (type(trainer.loss_function), "__call__", "loss"),
        (torch.Tensor, "backward", "backward"),
    )
    with watched:
        trainer.run()
    return epochs.found


def read_training(dataset_dir: Path, output_dir: Path, epochs: int) -> ConfigParser:
    """Return the bundle's train.yaml on ACDC, without record and without pauses for validation."""
    config = ConfigParser()
    config.read_config([str(BUNDLE / "configs" / "train.yaml"), str(ROOT / "configs" / "acdc.yaml")])
    places = {"bundle_root": BUNDLE, "dataset_dir": dataset_dir, "output_dir": output_dir}
    settings = {"record": False, "is_main": False, "max_epochs": epochs, "val_interval": epochs}
    config.update({**{name: str(path) for name, path in places.items()}, **settings})
    return config


class EpochTimes:
    """Notes the time of each epoch but the first.

    Args:
        clock: of the stages.
        last: epoch after which the training ends, before its validation.
    """

    def __init__(self, clock: StageClock, last: int) -> None:
        self.clock = clock
        self.last = last
        self.found: list[dict[str, Any]] = []
        self._began = 0.0

    def attach(self, trainer: Engine) -> None:
        """Attach behind the other handlers."""
        trainer.add_event_handler(Events.EPOCH_STARTED, self._start)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._iteration)

    def _start(self, engine: Engine) -> None:
        self.clock.seconds.clear()
        self._began = time.perf_counter()

    def _iteration(self, engine: Engine) -> None:
        length = engine.state.epoch_length
        if engine.state.iteration % length:
            return
        if engine.state.epoch > 1:
            wall_s = time.perf_counter() - self._began
            stages = dict(self.clock.seconds)
            self.found.append({"wall_s": wall_s, "iterations": length, "stages": stages})
        if engine.state.epoch == self.last:
            engine.terminate()


if __name__ == "__main__":
    main()

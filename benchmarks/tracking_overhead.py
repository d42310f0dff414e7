"""What the record costs: the share of an epoch's time that goes to MLflow, epochs with and without it in turn.

    python -m benchmarks.tracking_overhead [--epochs 12] [--threads 2] [--dataset_dir DIR] [--tracking_uri URI]

Trains by the bundle's own train.yaml, with validation in each epoch, on a phantom cohort or on a data set in ACDC's
layout. The run is on record in every other epoch, so that each pair of neighbors differs in nothing else; an epoch
counts from its start to the end of its last handler, the sending to the store among them. Prints the median of the
paired differences with its 95 % interval (bootstrap over the pairs), and, free of the noise of the epochs, the time
spent in the calls to the run.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser

from benchmarks.machine import ROOT, commit
from pipeline.data.phantom import make_phantom_cohort
from pipeline.tracking import Run, RunTracker
from pipeline.tracking.system_metrics import SAMPLING_INTERVAL_S, _monitor

CONFIGS = [ROOT / "bundles/cardiac_sax_segmentation/configs/train.yaml", ROOT / "configs/acdc.yaml"]
WARM_UP = 2
"""Epochs at the start that are left out: the first fills caches."""
SAMPLES = 20


class Pairs:
    """Puts the run on record in every other epoch, and notes how long each took.

    Args:
        tracker: whose run is taken away and given back.
        run: the run.
    """

    def __init__(self, tracker: RunTracker, run: Run) -> None:
        self.tracker = tracker
        self.run = run
        self.seconds: dict[bool, list[float]] = {True: [], False: []}
        self.in_calls: list[float] = []
        self._began = 0.0
        self._calls = 0.0
        for name in ("log_metrics", "flush"):
            setattr(run, name, self._timed(getattr(run, name)))

    def attach(self, trainer: Engine) -> None:
        """Attach to a trainer, before and behind all other handlers."""
        trainer.add_event_handler(Events.EPOCH_STARTED, self._start)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._end)

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self._calls += time.perf_counter() - begin

        return timed

    def _start(self, engine: Engine) -> None:
        self.tracker.run = self.run if engine.state.epoch % 2 else None
        self._began, self._calls = time.perf_counter(), 0.0

    def _end(self, engine: Engine) -> None:
        if engine.state.epoch > WARM_UP:
            on_record = self.tracker.run is not None
            self.seconds[on_record].append(time.perf_counter() - self._began)
            if on_record:
                self.in_calls.append(self._calls)


def main() -> None:
    """Measure and print."""
    options = _parse()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        dataset_dir = options.dataset_dir or f"{folder}/phantom"
        if not options.dataset_dir:
            make_phantom_cohort(dataset_dir, num_patients=10, seed=0)
        pairs, sample_s = measure(dataset_dir, Path(folder), options.epochs, options.tracking_uri)
    _show(pairs, sample_s, options.threads)


def measure(dataset_dir: str, folder: Path, epochs: int, tracking_uri: str) -> tuple[Pairs, float]:
    """Train, and return the times of the epochs and the seconds of one sample of the machine."""
    parser = ConfigParser()
    parser.read_config([str(path) for path in CONFIGS])
    uri = tracking_uri or f"sqlite:///{(folder / 'mlruns.db').as_posix()}"
    settings = {"dataset_dir": dataset_dir, "output_dir": str(folder / "out"), "tracking_uri": uri, "is_main": False}
    parser.update({**settings, "max_epochs": epochs, "val_interval": 1})
    trainer, tracker = parser.get_parsed_content("train#trainer"), parser.get_parsed_content("tracker")
    with tracker.start("training") as run:
        pairs = Pairs(tracker, run)
        pairs.attach(trainer)
        trainer.run()
        tracker.run = run
        monitor = _monitor(run, uri)
        begin = time.perf_counter()
        for _ in range(SAMPLES):
            monitor.collect_metrics()
            monitor.aggregate_metrics()
        return pairs, (time.perf_counter() - begin) / SAMPLES


def _show(pairs: Pairs, sample_s: float, threads: int) -> None:
    on, off = (np.array(pairs.seconds[on_record]) for on_record in (True, False))
    count = min(len(on), len(off))
    differences = on[:count] - off[:count]
    drawn = np.random.default_rng(0).choice(differences, (10_000, count))
    low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
    epoch_s, calls_s = statistics.median(off), statistics.median(pairs.in_calls)
    print(
        f"commit {commit()}, torch {torch.__version__}, {threads} threads, {platform.processor() or platform.machine()}"
    )
    print(f"epoch without record  {epoch_s:8.2f} s   (median of {len(off)})")
    print(f"with minus without    {np.median(differences):8.3f} s   ({low:.3f} to {high:.3f}, {count} pairs)")
    print(f"share of the epoch    {100 * np.median(differences) / epoch_s:8.2f} %")
    print(f"in calls to the run   {calls_s:8.3f} s   {100 * calls_s / epoch_s:.2f} % of the epoch")
    print(f"sample of the machine {sample_s:8.3f} s   {100 * sample_s / SAMPLING_INTERVAL_S:.2f} % of the time")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=12, help=f"the first {WARM_UP} warm up (default: 12)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dataset_dir", default="", help="in ACDC's layout (default: a phantom cohort)")
    parser.add_argument("--tracking_uri", default="", help="store (default: a SQLite file)")
    return parser.parse_args()


if __name__ == "__main__":
    main()

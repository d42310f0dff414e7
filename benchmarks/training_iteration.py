"""Where the time of a training iteration goes: cutting slices, augmentation, or the network.

    python benchmarks/training_iteration.py [--iterations 30] [--threads 2]

Reads the bundle's own train.yaml on a phantom cohort, so that what is measured is what users run. Prints the median and
the spread (10th to 90th percentile) of each part over the iterations, in milliseconds.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from monai.bundle import ConfigParser

from pipeline.data.phantom import make_phantom_cohort

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = [ROOT / "bundles/cardiac_sax_segmentation/configs/train.yaml", ROOT / "configs/acdc.yaml"]
PARTS = ("fetch", "augment", "forward", "backward", "step")


def main() -> None:
    """Measure and print."""
    options = _parse()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        make_phantom_cohort(folder, num_patients=10, seed=0)
        times = measure(folder, options.iterations)
    total = sum(statistics.median(times[part]) for part in PARTS)
    machine = platform.processor() or platform.machine()
    print(f"{_commit()}, torch {torch.__version__}, {options.threads} threads, {machine}")
    for part in PARTS:
        low, *_, high = statistics.quantiles(times[part], n=10)
        median = statistics.median(times[part])
        print(f"{part:9s} {median:8.1f} ms  ({low:.1f} to {high:.1f})  {100 * median / total:5.1f} %")


def measure(dataset_dir: str, iterations: int) -> dict[str, list[float]]:
    """Return the milliseconds of each part, an entry an iteration; the first five warm up and are left out."""
    parser = ConfigParser()
    parser.read_config([str(path) for path in CONFIGS])
    parser.update({"dataset_dir": dataset_dir, "record": False})
    loader, augmentation = parser.get_parsed_content("train#dataloader"), parser.get_parsed_content("augmentation")
    network, loss_function = parser.get_parsed_content("network"), parser.get_parsed_content("loss")
    optimizer = parser.get_parsed_content("optimizer")
    times: dict[str, list[float]] = {part: [] for part in PARTS}
    batches = iter(loader)
    for iteration in range(iterations + 5):
        marks = [time.perf_counter()]
        try:
            batch = next(batches)
        except StopIteration:
            batches = iter(loader)
            batch = next(batches)
        marks.append(time.perf_counter())
        batch = augmentation(batch)
        marks.append(time.perf_counter())
        loss = loss_function(network(batch["image"]), batch["label"])
        marks.append(time.perf_counter())
        optimizer.zero_grad()
        loss.backward()
        marks.append(time.perf_counter())
        optimizer.step()
        marks.append(time.perf_counter())
        if iteration >= 5:
            for part, start, end in zip(PARTS, marks[:-1], marks[1:], strict=True):
                times[part].append(1000 * (end - start))
    return times


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=30, help="measured iterations (default: 30)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch (default: its own)")
    return parser.parse_args()


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return f"commit {found or 'unknown'}"


if __name__ == "__main__":
    main()

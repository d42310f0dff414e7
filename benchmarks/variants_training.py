"""Trains the variants that ``benchmarks.variants`` puts into a table: same fold, same epochs, same seed.

    python -m benchmarks.variants_training --dataset_dir DIR [--output_dir runs/variants] [--max_epochs 12]
        [--jobs 2] [--only default,no_aspp] [--seeds 0,1,2]

Runs the README's training command for each variant and seed, as a run of its own in the experiment "variants" of
--tracking_uri. A training that is finished is left as it is and one that was interrupted goes on. Run names are those
of the variants; seeds other than 0 are told by "_seedN".
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import ROOT
from benchmarks.trainings import Training, train_all, whole_numbers
from benchmarks.variants import EXPERIMENT, overlays, run_name


def main() -> None:
    """Train, some at a time."""
    options = _parse()
    common = {
        "dataset_dir": options.dataset_dir.resolve(),
        "max_epochs": options.max_epochs,
        "val_interval": options.max_epochs,
        "experiment_name": EXPERIMENT,
        "tracking_uri": options.tracking_uri,
    }
    wanted = options.only or list(overlays())
    train_all(trainings_of(wanted, options.seeds), options.output_dir.resolve(), common, options.jobs)


def trainings_of(variants: Sequence[str], seeds: Sequence[int]) -> list[Training]:
    """Return the trainings of some variants, seed after seed."""
    paths = overlays()
    chosen = [(name, paths[name], seed) for seed in seeds for name in variants]
    return [Training(run_name(name, seed), [path] if path else [], {"seed": seed}) for name, path, seed in chosen]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset_dir", type=Path, required=True, help="ACDC's folder training")
    parser.add_argument("--output_dir", type=Path, default=ROOT / "runs" / "variants")
    parser.add_argument("--max_epochs", type=int, default=12, help="of each (default: 12)")
    parser.add_argument("--jobs", type=int, default=1, help="at a time, each on its share of the cores (default: 1)")
    parser.add_argument("--only", type=_words, default=[], help="such as default,no_aspp (default: all)")
    parser.add_argument("--seeds", type=whole_numbers, default=[0], help="such as 0,1,2 (default: 0)")
    parser.add_argument("--tracking_uri", default="", help="of MLflow (default: as in the README)")
    options = parser.parse_args()
    unknown = [name for name in options.only if name not in overlays()]
    if unknown:
        parser.error(f"--only names {', '.join(unknown)}; the variants are {', '.join(overlays())}.")
    return options


def _words(text: str) -> Sequence[str]:
    return text.split(",")


if __name__ == "__main__":
    main()

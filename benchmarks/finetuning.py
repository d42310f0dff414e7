"""What fine-tuning brings where there are few patients: curves over 4, 8, 16 of a disease held out of the pre-training.

    python -m benchmarks.finetuning --dataset_dir DIR [--group RV] [--folds 0,1] [--iterations 600] [--jobs 2]
        [--pretraining_epochs 12] [--output_dir runs/finetuning] [--output finetuning.md]

Pre-trains on ACDC's other groups. Then, for each fold of the group's 20 patients, 4 validate, and 4, 8 and 16 of the
others are trained on, from the pre-trained weights by configs/recipes/finetune.yaml, and anew by the default recipe,
for about the same number of iterations. Beside both: the pre-trained weights as they are. Finished trainings are kept.
Writes a table of the mean Dice of the validation cases of all folds, lowest and highest fold in brackets.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import ROOT
from benchmarks.processes import run
from benchmarks.settings import BUNDLE, bundle_command
from benchmarks.trainings import Training, summary_of, train_all, whole_numbers

OVERLAY = ROOT / "benchmarks" / "finetuning.yaml"
FINETUNE = ROOT / "configs" / "recipes" / "finetune.yaml"
SIZES = (4, 8, 16)
SLICES_A_PATIENT = 19
"""Of the two labelled phases, the mean over ACDC."""
BATCH = 8
PRETRAINED = "pretrained"
WAYS = {"fine-tuned": "finetuned", "trained anew": "anew"}


def main() -> None:
    """Train, evaluate, print and write."""
    options = _parse()
    folder = options.output_dir.resolve()
    common = {
        "dataset_dir": options.dataset_dir.resolve(),
        "held_out_group": options.group,
        "tracking_uri": options.tracking_uri,
        "experiment_name": "finetuning",
    }
    before = Training(
        PRETRAINED, [OVERLAY], {"max_epochs": options.pretraining_epochs, "val_interval": options.pretraining_epochs}
    )
    train_all([before], folder, common, jobs=1)
    weights = folder / PRETRAINED / "models" / "model.pt"
    trainings = [one for fold in options.folds for size in SIZES for one in both_ways(size, fold, options, weights)]
    train_all(trainings, folder, common, options.jobs)
    for fold in options.folds:
        evaluate(weights, folder / f"{PRETRAINED}_fold{fold}", fold, options)
    text = format_table(folder, options.folds)
    Path(options.output).write_text(text, encoding="utf-8")
    print(f"\n{text}")


def both_ways(size: int, fold: int, options: argparse.Namespace, weights: Path) -> list[Training]:
    """Return the two trainings on some patients."""
    epochs = epochs_of(options.iterations, size)
    settings = {"num_patients": size, "fold": fold, "max_epochs": epochs, "val_interval": epochs}
    return [
        Training(label(WAYS["fine-tuned"], size, fold), [FINETUNE, OVERLAY], {**settings, "pretrained_path": weights}),
        Training(label(WAYS["trained anew"], size, fold), [OVERLAY], settings),
    ]


def epochs_of(iterations: int, num_patients: int) -> int:
    """Return the epochs that make about so many iterations."""
    return max(1, round(iterations * BATCH / (num_patients * SLICES_A_PATIENT)))


def label(way: str, size: int, fold: int) -> str:
    """Return the name of a training."""
    return f"{way}_{size}_fold{fold}"


def evaluate(weights: Path, folder: Path, fold: int, options: argparse.Namespace) -> None:
    """Evaluate the pre-trained weights on the validation cases of a fold."""
    files = [BUNDLE / "configs" / "train.yaml", BUNDLE / "configs" / "evaluate.yaml", ROOT / "configs" / "acdc.yaml"]
    command = bundle_command(sys.executable, "evaluating", BUNDLE, [*files, OVERLAY])
    settings = {
        "dataset_dir": options.dataset_dir.resolve(),
        "held_out_group": options.group,
        "num_patients": SIZES[0],
        "fold": fold,
        "output_dir": folder,
        "ckpt_path": weights,
        "record": False,
    }
    run([*command, *(f"--{key}={value}" for key, value in settings.items())])


def format_table(folder: Path, folds: Sequence[int]) -> str:
    """Lay out the mean Dice by number of patients in Markdown."""
    lines = [
        "| patients | " + " | ".join(WAYS) + " | pre-trained, as it is |",
        "| ---: | " + " | ".join("---:" for _ in WAYS) + " | ---: |",
    ]
    as_it_is = spread_of([folder / f"{PRETRAINED}_fold{fold}" for fold in folds])
    for size in SIZES:
        cells = [spread_of([folder / label(way, size, fold) for fold in folds]) for way in WAYS.values()]
        lines.append(f"| {size} | {' | '.join(cells)} | {as_it_is} |")
    return "\n".join(lines) + "\n"


def spread_of(folders: Sequence[Path]) -> str:
    """Return mean, lowest and highest of the mean Dice; folds have as many cases each."""
    values = [float(summary_of(folder)["all"]["mean_dice"]) for folder in folders]
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset_dir", type=Path, required=True, help="ACDC's folder training")
    parser.add_argument("--group", default="RV", help="held out: DCM, HCM, MINF, NOR or RV (default: RV)")
    parser.add_argument("--folds", type=whole_numbers, default=[0, 1], help="of the group's patients (default: 0,1)")
    parser.add_argument("--iterations", type=int, default=600, help="of each training, about (default: 600)")
    parser.add_argument("--pretraining_epochs", type=int, default=12, help="(default: 12)")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time (default: 1)")
    parser.add_argument("--output_dir", type=Path, default=ROOT / "runs" / "finetuning")
    parser.add_argument("--tracking_uri", default="", help="of MLflow (default: as in the README)")
    parser.add_argument("--output", default="finetuning.md", help="Markdown file")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""How long the README's training takes until its network is good: from the start of the process to the figures."""

from __future__ import annotations

import json
import shutil
import sys

from benchmarks.machine import ROOT
from benchmarks.processes import run
from benchmarks.report import Goal, Section, Table
from benchmarks.settings import BUNDLE, Settings, bundle_command

DICE_GOAL, MINUTES_GOAL = 0.90, 8.0
NOTES = [
    "The README's training on ACDC fold 0 under `configs/recipes/quick.yaml`, once, the whole process: imports, "
    "reading, training, validation of 40 cases and figures. Dice: mean over RV, myocardium and LV of these cases.",
]


def measure(settings: Settings) -> Section:
    """Train once."""
    target = settings.work_dir / "quick_training"
    shutil.rmtree(target, ignore_errors=True)
    overlays = [ROOT / "configs" / "acdc.yaml", ROOT / "configs" / "recipes" / "quick.yaml"]
    command = bundle_command(sys.executable, "training", BUNDLE, [BUNDLE / "configs" / "train.yaml", *overlays])
    places = ["--dataset_dir", str(settings.dataset_dir), "--output_dir", str(target), "--record", "false"]
    epochs = ["--max_epochs", "1", "--val_interval", "1"] if settings.quick else []
    minutes = run([*command, *places, *epochs]).wall_s / 60
    figures = json.loads((target / "summary.json").read_text(encoding="utf-8"))["all"]
    return section_of(minutes, figures)


def section_of(minutes: float, figures: dict[str, object]) -> Section:
    """Return the table and the goal of one training.

    Args:
        minutes: of the whole process.
        figures: of all cases, as ``summary.json`` has them.
    """
    dice = float(str(figures["mean_dice"]))
    table = Table(["recipe", "minutes", "mean Dice"], [["quick.yaml", f"{minutes:.1f}", f"{dice:.4f}"]])
    reached = dice >= DICE_GOAL and minutes <= MINUTES_GOAL
    goal = Goal(
        f"ACDC fold 0 to validation Dice {DICE_GOAL:.2f}",
        f"at most {MINUTES_GOAL:.0f} minutes",
        f"{minutes:.1f} minutes, Dice {dice:.3f} (one round)",
        reached,
    )
    return Section("A training until its network is good", [table], NOTES, [goal], {"minutes": minutes, "dice": dice})

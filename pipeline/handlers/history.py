"""What each validation of a training found, in a file that others can follow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Events
from monai.engines import SupervisedEvaluator, SupervisedTrainer

from pipeline.files import atomic_path

HISTORY_FILE = "validation.jsonl"


class ValidationHistory:
    """Writes a line of JSON a validation: ``{"epoch": 5, "val_mean_dice": 0.91, "val_dice_rv": …}``.

    A sweep reads it to stop trainings that fall behind, with or without MLflow.

    Args:
        path: the file; made anew by ``start``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def start(self, trainer: SupervisedTrainer, evaluator: SupervisedEvaluator) -> None:
        """Keep the lines up to the epoch after which the training goes on, and write one a validation from now on."""
        kept = [line for line in read_history(self.path) if line["epoch"] <= trainer.state.epoch]
        with atomic_path(self.path) as partial:
            partial.write_text("".join(f"{json.dumps(line)}\n" for line in kept), encoding="utf-8")
        evaluator.add_event_handler(Events.COMPLETED, self.append)

    def stop(self, evaluator: SupervisedEvaluator) -> None:
        """What the evaluator runs from now on is no validation of a training."""
        evaluator.remove_event_handler(self.append, Events.COMPLETED)

    def append(self, engine: SupervisedEvaluator) -> None:
        """Write the line of the validation that has just ended."""
        line = {"epoch": int(engine.state.epoch), **_numbers(engine.state.metrics)}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(f"{json.dumps(line)}\n")


def read_history(path: str | Path) -> list[dict[str, Any]]:
    """Return the validations so far, in their order; a line that is being written is left out.

    Args:
        path: ``validation.jsonl`` of a training, which need not be there yet.
    """
    path = Path(path)
    if not path.is_file():
        return []
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}

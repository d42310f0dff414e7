"""The results of an evaluation as part of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.metrics.summary import summary_scalars
from pipeline.tracking.run import Run

EVALUATION_FOLDER = "evaluation"


def log_evaluation(
    run: Run, artifacts: Iterable[str | Path], summary: Mapping[str, Any], prefix: str = "val_", step: int = 0
) -> None:
    """Record the figures of an evaluation as metrics, and its files as artifacts under ``evaluation``.

    Args:
        run: the run.
        artifacts: files (``metrics.csv``, ``summary.json``, overlay pictures) and folders.
        summary: what ``pipeline.metrics.summarize`` returns; ``summary_scalars`` names its figures.
        prefix: put before the name of each figure; the default gives those of the validation in training, so that
            runs of both kinds stand in one table.
        step: epoch of the model, where it is known.
    """
    run.log_metrics(summary_scalars(summary, prefix), step=step)
    for path in artifacts:
        run.log_artifact(path, EVALUATION_FOLDER)
    run.flush()

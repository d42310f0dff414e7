"""The results of an evaluation as part of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.labels import FOREGROUND
from pipeline.metrics.summary import summary_scalars
from pipeline.tracking.run import NOTE_TAG, Run

EVALUATION_FOLDER = "evaluation"
AGREEMENT = "agreement"


def log_evaluation(
    run: Run, artifacts: Iterable[str | Path], summary: Mapping[str, Any], prefix: str = "val_", step: int = 0
) -> None:
    """Record the figures of an evaluation as metrics, its files as artifacts under ``evaluation``, and a description.

    Args:
        run: the run.
        artifacts: files (``metrics.csv``, ``summary.json``, overlay pictures) and folders.
        summary: what ``pipeline.metrics.summarize`` returns; ``summary_scalars`` names its figures.
        prefix: put before the name of each figure; the default gives those of the validation in training, so that
            runs of both kinds stand in one table.
        step: epoch of the model, where it is known.
    """
    figures = summary_scalars(summary, prefix)
    run.log_metrics({grouped_key(key): value for key, value in figures.items()}, step=step)
    for path in artifacts:
        run.log_artifact(path, EVALUATION_FOLDER)
    if figures:
        run.set_tags({NOTE_TAG: describe_results(figures, prefix)})
    run.flush()


def grouped_key(key: str) -> str:
    """Return the name of a figure as MLflow's page groups them, by what stands before a slash.

    The 50 figures of the agreement would bury the others: ``val_agreement.lv_ef_percent.bias`` becomes
    ``val_agreement/lv_ef_percent.bias``.
    """
    return key.replace(f"{AGREEMENT}.", f"{AGREEMENT}/", 1)


def describe_results(figures: Mapping[str, float], prefix: str) -> str:
    """Return the main figures in Markdown, which MLflow's page shows as the description of the run.

    Args:
        figures: as ``summary_scalars`` names them.
        prefix: of their names.
    """
    names = ["mean", *(item.key for item in FOREGROUND)]
    keys = ["mean_dice", *(f"dice_{item.key}" for item in FOREGROUND)]
    cells = [f"{figures.get(prefix + key, float('nan')):.3f}" for key in keys]
    rows = [["Dice", *(name if name == "mean" else name.upper() for name in names)], ["---"] * (len(names) + 1)]
    rows.append(["all cases", *cells])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{table}\n\nCase by case: `{EVALUATION_FOLDER}/report.html` among the artifacts."

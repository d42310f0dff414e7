"""One evaluation of saved weights, on record."""

from __future__ import annotations

import logging
from pathlib import Path

from monai.engines import SupervisedEvaluator

from pipeline.data import Split
from pipeline.errors import InputError
from pipeline.reporting import EvaluationReport
from pipeline.reporting.table import format_summary
from pipeline.tracking import RunTracker, log_evaluation
from pipeline.workflows.config import current_parser
from pipeline.workflows.members import CheckpointPaths, member_paths, training_folder
from pipeline.workflows.record import SPLIT_FILE, record_inputs, run_params

logger = logging.getLogger(__name__)


def run_evaluation(
    evaluator: SupervisedEvaluator,
    report: EvaluationReport,
    tracker: RunTracker,
    split: Split,
    ckpt_path: CheckpointPaths = "",
) -> None:
    """Evaluate case by case on the validation part of ``split``, as one MLflow run.

    Args:
        evaluator: with its network's weights loaded.
        report: writes ``metrics.csv``, ``summary.json`` and pictures.
        tracker: of the MLflow run.
        split: whose validation part the evaluator reads.
        ckpt_path: file or files of the weights.

    Raises:
        InputError: there is no case to evaluate, or some of these cases were trained on, by the splits that trainings
            left in the same folder and beside the weights of an ensemble.
    """
    if not split.validated:
        raise InputError(
            f"all {len(split.train)} cases are trained on with --fold all: there is none to evaluate. Give the number "
            "of a fold, or other data."
        )
    require_unseen(split, Path(report.output_dir) / SPLIT_FILE)
    members = member_paths(ckpt_path) if ckpt_path else []
    if len(members) > 1:
        for path in members:
            require_unseen(split, training_folder(path) / SPLIT_FILE)
    params, config = run_params(current_parser())
    with tracker.start("evaluating", params=params) as run:
        record_inputs(run, config, split)
        report.attach(evaluator)
        evaluator.run()
        log_evaluation(run, report.artifacts, report.summary)
    if report.summary:
        logger.info("Each case on its own grid:\n%s", format_summary(report.summary))
        logger.info("Written to %s. Compare the runs: %s", report.output_dir, tracker.ui_command() or "tracking is off")


def require_unseen(split: Split, trained: Path) -> None:
    """Refuse to evaluate weights on the cases that they were trained on: forgetting ``--fold 1`` would do that.

    Args:
        split: whose validation part is to be evaluated.
        trained: the split that the training has written; nothing is compared where there is none.

    Raises:
        InputError: a case to evaluate is on its training side.
    """
    if not trained.is_file():
        return
    seen = {Path(item["image"]).resolve() for item in Split.from_json(trained).train}
    known = [item["case_id"] for item in split.val if Path(item["image"]).resolve() in seen]
    if known:
        raise InputError(
            f"{len(known)} of {len(split.val)} cases to evaluate were trained on by {trained}, such as {known[0]}. "
            "Give the --fold and --num_folds of the training, or another --output_dir with the weights by --ckpt_path."
        )

"""One training from its first epoch to the report on its best weights, on record."""

from __future__ import annotations

import logging
from pathlib import Path

from monai.engines import SupervisedEvaluator, SupervisedTrainer

from pipeline.data import Split
from pipeline.flags import as_flag
from pipeline.handlers import EarlyStop, TrainingCheckpoint, load_weights
from pipeline.reporting import EvaluationReport
from pipeline.reporting.table import format_summary
from pipeline.tracking import RunTracker, log_evaluation
from pipeline.workflows.config import current_parser
from pipeline.workflows.processes import is_first_process, wait_for_all
from pipeline.workflows.record import SPLIT_FILE, record_inputs, run_params

logger = logging.getLogger(__name__)


def run_training(
    trainer: SupervisedTrainer,
    evaluator: SupervisedEvaluator,
    checkpoint: TrainingCheckpoint,
    early_stop: EarlyStop,
    report: EvaluationReport,
    tracker: RunTracker,
    split: Split,
    resume: bool | str = False,
) -> None:
    """Train, then evaluate the best weights case by case, as one MLflow run.

    Args:
        trainer: with its handlers; ``checkpoint`` among them.
        evaluator: of the validation, run by a handler of the trainer.
        checkpoint: saves the training; resumes it where ``resume`` is true, else an earlier one is set aside.
        early_stop: ends the training when validation stops getting better.
        report: writes metrics, summary and pictures of the final evaluation.
        tracker: of the MLflow run.
        split: of the training; written into the run, and beside the report.
        resume: whether to go on from the last whole epoch.

    Raises:
        InputError: nothing to resume, or a checkpoint of another training.
    """
    early_stop.watch(evaluator, trainer)
    if as_flag("resume", resume):
        checkpoint.resume(trainer)
    else:
        checkpoint.set_aside()
    params, config = run_params(current_parser())
    with tracker.start("training", params=params, run_id=checkpoint.run_id) as run:
        checkpoint.run_id = run.id or None
        if is_first_process():
            split.to_json(Path(report.output_dir) / SPLIT_FILE)
        record_inputs(run, config, split)
        if trainer.state.epoch < trainer.state.max_epochs and not early_stop.reached:
            trainer.run()
        early_stop.release(evaluator)
        wait_for_all()  # for the first process to have written the best weights
        run.log_artifact(checkpoint.best_path, "models")
        load_weights(evaluator.network, checkpoint.best_path)
        report.attach(evaluator)
        evaluator.run(global_epoch=evaluator.state.best_metric_epoch)
        log_evaluation(run, report.artifacts, report.summary, prefix="best_", step=evaluator.state.best_metric_epoch)
    if report.summary:
        logger.info("Best weights, each case on its own grid:\n%s", format_summary(report.summary))
        logger.info("Written to %s. Compare the runs: %s", report.output_dir, tracker.ui_command() or "tracking is off")

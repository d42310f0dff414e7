"""One training from its first epoch to the report on its best weights, on record."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from monai.engines import SupervisedEvaluator, SupervisedTrainer

from pipeline.data import Split
from pipeline.flags import as_flag
from pipeline.handlers import EarlyStop, TrainingCheckpoint, load_weights
from pipeline.handlers.history import HISTORY_FILE, ValidationHistory
from pipeline.reporting import EvaluationReport
from pipeline.reporting.table import format_summary
from pipeline.tracking import Run, RunTracker, log_evaluation
from pipeline.workflows.config import current_parser
from pipeline.workflows.folder_lock import sole_user
from pipeline.workflows.processes import is_first_process, lost_process_explained, wait_for_all
from pipeline.workflows.record import SPLIT_FILE, record_inputs, run_params
from pipeline.workflows.settings import wants_auto
from pipeline.workflows.training_record import TrainingRecord, require_same_training, resume_differences

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

    ``training.json`` in the folder of the report says what is trained there and whether it is finished,
    ``validation.jsonl`` what each validation found. A training on all cases (``fold`` is ``"all"``) has no validation:
    it ends with the weights of its last epoch.

    Args:
        trainer: with its handlers; ``checkpoint`` among them.
        evaluator: of the validation, run by a handler of the trainer.
        checkpoint: saves the training; resumes it where ``resume`` is true, else an earlier one is set aside.
        early_stop: ends the training when validation stops getting better.
        report: writes metrics, summary and pictures of the final evaluation.
        tracker: of the MLflow run.
        split: of the training; written into the run, and beside the report.
        resume: whether to go on from the last whole epoch; ``"auto"``: where there is one.

    Raises:
        InputError: nothing to resume, a checkpoint of another training (see ``require_same_training``), or another
            process trains in this folder.
    """
    folder = Path(report.output_dir)
    with sole_user(folder) if is_first_process() else nullcontext():
        early_stop.watch(evaluator, trainer)
        _begin(trainer, checkpoint, folder, split, resume)
        params, config = run_params(current_parser())
        with tracker.start("training", params=params, run_id=checkpoint.run_id) as run, lost_process_explained():
            checkpoint.run_id = run.id or None
            record = _record_start(run, config, split, folder)
            run.set_tags({"num_parameters": sum(weight.numel() for weight in evaluator.network.parameters())})
            _train(trainer, evaluator, early_stop, ValidationHistory(folder / HISTORY_FILE))
            run.log_artifact(checkpoint.best_path, "models")
            if split.validated:
                _evaluate_best(evaluator, checkpoint, report, run)
            if is_first_process():
                replace(record, finished=True).save(folder)
    if not split.validated:
        logger.info("Trained on all %d cases: there is no validation, and no figure.", len(split.train))
    elif report.summary:
        logger.info("Best weights, each case on its own grid:\n%s", format_summary(report.summary))
        logger.info("Written to %s. Compare the runs: %s", report.output_dir, tracker.ui_command() or "tracking is off")


def goes_on(resume: bool | str, last_path: Path) -> bool:
    """Tell whether a training is to be resumed from ``last_path``: by wish, or by ``"auto"`` where that exists.

    Raises:
        InputError: ``resume`` is neither a flag nor ``"auto"``.
    """
    return last_path.exists() if wants_auto(resume) else as_flag("resume", resume)


def _begin(
    trainer: SupervisedTrainer, checkpoint: TrainingCheckpoint, folder: Path, split: Split, resume: bool | str
) -> None:
    if goes_on(resume, checkpoint.last_path):
        require_same_training(folder, current_parser(), split)
        checkpoint.resume(trainer)
        return
    checkpoint.set_aside()
    checkpoint.run_id = _run_to_go_on(folder, split) if wants_auto(resume) and is_first_process() else None


def _run_to_go_on(folder: Path, split: Split) -> str | None:
    """Return the run of a training that ended within its first epoch: it has left no more than that."""
    record = TrainingRecord.load(folder)
    if record is None or record.finished or resume_differences(folder, current_parser(), split):
        return None
    return record.run_id


def _record_start(run: Run, config: dict[str, Any], split: Split, folder: Path) -> TrainingRecord:
    record = TrainingRecord.describe(current_parser(), split, run.id)
    if is_first_process():
        split.to_json(folder / SPLIT_FILE)
        record.save(folder)
    record_inputs(run, config, split)
    return record


def _evaluate_best(
    evaluator: SupervisedEvaluator, checkpoint: TrainingCheckpoint, report: EvaluationReport, run: Run
) -> None:
    load_weights(evaluator.network, checkpoint.best_path)
    report.attach(evaluator)
    best_epoch = evaluator.state.best_metric_epoch
    evaluator.run(global_epoch=best_epoch)
    log_evaluation(run, report.artifacts, report.summary, prefix="best_", step=best_epoch)


def _train(
    trainer: SupervisedTrainer, evaluator: SupervisedEvaluator, early_stop: EarlyStop, history: ValidationHistory
) -> None:
    if is_first_process():
        history.start(trainer, evaluator)
    if trainer.state.epoch < trainer.state.max_epochs and not early_stop.reached:
        trainer.run()
    early_stop.release(evaluator)
    if is_first_process():
        history.stop(evaluator)
    wait_for_all()  # for the first process to have written the best weights

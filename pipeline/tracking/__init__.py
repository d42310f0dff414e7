"""What an MLflow run records. MLflow itself is imported only when a run begins: that takes seconds."""

from __future__ import annotations

from pipeline.tracking.evaluation import log_evaluation
from pipeline.tracking.handlers import TrainingLog, ValidationLog
from pipeline.tracking.interruption import Terminated
from pipeline.tracking.run import Run
from pipeline.tracking.store import ui_command
from pipeline.tracking.tracker import RunTracker

__all__ = ["Run", "RunTracker", "Terminated", "TrainingLog", "ValidationLog", "log_evaluation", "ui_command"]

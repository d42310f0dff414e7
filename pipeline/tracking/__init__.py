"""What an MLflow run records. MLflow itself is imported only when a run begins: that takes seconds."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.tracking.evaluation import log_evaluation
    from pipeline.tracking.handlers import TrainingLog, ValidationLog
    from pipeline.tracking.interruption import Terminated
    from pipeline.tracking.run import Run
    from pipeline.tracking.store import ui_command
    from pipeline.tracking.tracker import RunTracker

__all__ = ["Run", "RunTracker", "Terminated", "TrainingLog", "ValidationLog", "log_evaluation", "ui_command"]

_MODULES = {
    "Run": "run",
    "RunTracker": "tracker",
    "Terminated": "interruption",
    "TrainingLog": "handlers",
    "ValidationLog": "handlers",
    "log_evaluation": "evaluation",
    "ui_command": "store",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for: who reads a store must not wait for torch."""
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)

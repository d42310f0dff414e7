"""What an evaluation leaves to look at: tables, overlay pictures, files."""

from __future__ import annotations

from pipeline.reporting.evaluation import EvaluationReport
from pipeline.reporting.overlay import as_displayed, save_overlay
from pipeline.reporting.table import format_summary

__all__ = ["EvaluationReport", "as_displayed", "format_summary", "save_overlay"]

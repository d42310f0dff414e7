"""The runs of an MLflow experiment side by side, and whether they differ on the cases that both have."""

from __future__ import annotations

from pipeline.comparison.experiment import Comparison, compare_experiment
from pipeline.comparison.files import write_comparison
from pipeline.comparison.paired import compare_paired
from pipeline.comparison.text import format_comparison

__all__ = ["Comparison", "compare_experiment", "compare_paired", "format_comparison", "write_comparison"]

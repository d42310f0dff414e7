"""What a segmentation is worth: overlap, surface distances with misses penalized, volumes, a case and a cohort."""

from __future__ import annotations

from pipeline.metrics.case import measure_case
from pipeline.metrics.segmentation import SegmentationMetrics
from pipeline.metrics.summary import summarize

__all__ = ["SegmentationMetrics", "measure_case", "summarize"]

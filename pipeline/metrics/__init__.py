"""What a segmentation is worth: overlap, surface distances with misses penalized, clinical numbers, agreement."""

from __future__ import annotations

from pipeline.metrics.agreement import Agreement, bland_altman
from pipeline.metrics.case import measure_case
from pipeline.metrics.function import CardiacFunction, cardiac_function
from pipeline.metrics.normal_ranges import NormalRange, normal_ranges
from pipeline.metrics.quality import QualityFlag, quality_flags
from pipeline.metrics.segmentation import SegmentationMetrics
from pipeline.metrics.summary import summarize

__all__ = [
    "Agreement",
    "CardiacFunction",
    "NormalRange",
    "QualityFlag",
    "SegmentationMetrics",
    "bland_altman",
    "cardiac_function",
    "measure_case",
    "normal_ranges",
    "quality_flags",
    "summarize",
]

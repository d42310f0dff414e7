"""Handlers that the project adds to ignite's and MONAI's."""

from pipeline.handlers.checkpoint import TrainingCheckpoint, load_checkpoint, load_pretrained, load_weights
from pipeline.handlers.early_stop import EarlyStop
from pipeline.handlers.ema import WeightAverage
from pipeline.handlers.finite_loss import RequireFiniteLoss
from pipeline.handlers.gradient_clipping import GradientClipping
from pipeline.handlers.label_order import RequireLabelOrder
from pipeline.handlers.progress import EpochLog, EvaluationProgress, TrainingProgress
from pipeline.handlers.seed import SeedEachEpoch
from pipeline.handlers.validation import EpochValidation

__all__ = [
    "EarlyStop",
    "EpochLog",
    "EpochValidation",
    "EvaluationProgress",
    "GradientClipping",
    "RequireFiniteLoss",
    "RequireLabelOrder",
    "SeedEachEpoch",
    "TrainingCheckpoint",
    "TrainingProgress",
    "WeightAverage",
    "load_checkpoint",
    "load_pretrained",
    "load_weights",
]

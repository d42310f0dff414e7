"""Models of the MLflow registry: made from a training, compared before they are promoted, served."""

from __future__ import annotations

from pipeline.registry.promotion import CHAMPION, Promotion, promote
from pipeline.registry.register import CANDIDATE, Registered, register_run

__all__ = ["CANDIDATE", "CHAMPION", "Promotion", "Registered", "promote", "register_run"]

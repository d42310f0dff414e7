"""What MLflow runs to make the model ("models from code"): nothing is pickled."""

from __future__ import annotations

from mlflow.models import set_model

from pipeline.registry.model import CardiacSegmenter

set_model(CardiacSegmenter())

"""What the project adds to MONAI's engines."""

from pipeline.engines.prepare_batch import PrepareAugmentedBatch

__all__ = ["PrepareAugmentedBatch"]

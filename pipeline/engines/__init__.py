"""What the project adds to MONAI's engines."""

from pipeline.engines.adversarial import AdversarialSegmentationTrainer, MaskDiscriminator
from pipeline.engines.prepare_batch import PrepareAugmentedBatch

__all__ = ["AdversarialSegmentationTrainer", "MaskDiscriminator", "PrepareAugmentedBatch"]

"""What MONAI's engines need around an iteration."""

from pipeline.engines.adversarial import AdversarialSegmentationTrainer, MaskDiscriminator
from pipeline.engines.prepare_batch import PrepareAugmentedBatch

__all__ = ["AdversarialSegmentationTrainer", "MaskDiscriminator", "PrepareAugmentedBatch"]

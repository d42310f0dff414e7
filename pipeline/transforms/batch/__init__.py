"""Random augmentation of whole batches: one tensor operation for all samples, on the device of the batch."""

from pipeline.transforms.batch.affine import RandAffineBatch, RandAffineBatchd
from pipeline.transforms.batch.bias_field import RandBiasFieldBatch, RandBiasFieldBatchd
from pipeline.transforms.batch.blur import RandBlurBatch, RandBlurBatchd
from pipeline.transforms.batch.contrast import RandContrastBatch, RandContrastBatchd
from pipeline.transforms.batch.gamma import RandGammaBatch, RandGammaBatchd
from pipeline.transforms.batch.neighbors import RandNeighborsBatch, RandNeighborsBatchd
from pipeline.transforms.batch.noise import RandNoiseBatch, RandNoiseBatchd
from pipeline.transforms.batch.tone_curve import RandToneCurveBatch, RandToneCurveBatchd

__all__ = [
    "RandAffineBatch",
    "RandAffineBatchd",
    "RandBiasFieldBatch",
    "RandBiasFieldBatchd",
    "RandBlurBatch",
    "RandBlurBatchd",
    "RandContrastBatch",
    "RandContrastBatchd",
    "RandGammaBatch",
    "RandGammaBatchd",
    "RandNeighborsBatch",
    "RandNeighborsBatchd",
    "RandNoiseBatch",
    "RandNoiseBatchd",
    "RandToneCurveBatch",
    "RandToneCurveBatchd",
]

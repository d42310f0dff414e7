"""Random loss of in-plane resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.config import KeysCollection

from pipeline.transforms.batch.base import RandBatchTransform, RandBatchTransformd, ordered


class RandBlurBatch(RandBatchTransform):
    """Convolves each sample with a Gaussian of its own width, as a coarser acquisition would.

    Args:
        prob: probability that a sample is changed.
        sigma: range of the standard deviation of the Gaussian, in pixels.

    Raises:
        ValueError: ``sigma`` is not two rising positive numbers.
    """

    def __init__(self, prob: float = 0.2, sigma: tuple[float, float] = (0.3, 1.2)) -> None:
        super().__init__(prob)
        self.sigma = ordered("sigma", sigma, low=1e-3)
        self.radius = max(1, round(3 * self.sigma[1]))

    def change(self, image: torch.Tensor) -> torch.Tensor:
        """See the base class."""
        samples, channels, height, width = image.shape
        offsets = torch.arange(-self.radius, self.radius + 1, dtype=image.dtype, device=image.device)
        kernel = torch.exp(-0.5 * (offsets / self.uniform(*self.sigma, image).view(-1, 1)) ** 2)
        kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
        # one group a sample: every sample is convolved with its own kernel in a single call
        x = image.reshape(1, samples * channels, height, width)
        x = F.pad(x, [self.radius] * 4, mode="replicate")
        x = F.conv2d(x, kernel[:, None, :, None], groups=samples * channels)
        x = F.conv2d(x, kernel[:, None, None, :], groups=samples * channels)
        return x.view_as(image)


class RandBlurBatchd(RandBatchTransformd):
    """Dictionary form of ``RandBlurBatch``."""

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.2,
        sigma: tuple[float, float] = (0.3, 1.2),
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandBlurBatch(prob, sigma), allow_missing_keys)

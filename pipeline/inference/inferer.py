"""A 2D network over the slices of a stack."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from monai.inferers import Inferer, sliding_window_inference
from monai.utils import BlendMode, PytorchPadMode, ensure_tuple_rep
from tqdm import tqdm

from pipeline.transforms import neighbor_slices


class SliceWindowInferer(Inferer):
    """Runs a 2D network over each slice of a stack, by sliding window where the slice is larger than the window.

    Equals ``monai.inferers.SliceInferer(spatial_dim=2, ...)`` to rounding and is faster: the slices of all volumes of
    the batch form one 2D batch, where SliceInferer weighs and adds 3D windows of one slice. Slices that fit into the
    window go through the network whole, without weights. A slice smaller than the window is padded on both sides to its
    size, and the result is cropped.

    Windows cost: a slice of 256 x 256 takes 9 windows of 144 x 144 at an overlap of 0.25, and so 2.8 times the work of
    the whole slice; one of 267 x 256 still takes 2 windows of 256 x 256. Choose a window that most slices fit into, or
    -1 where memory allows any slice.

    Args:
        roi_size: size of the window along x and y; -1 takes the size of the slice, rounded up to ``divisible_by``.
        sw_batch_size: windows that go through the network at once.
        overlap: overlap of neighboring windows, from 0 (none) to below 1.
        mode: how overlapping windows are blended, ``"constant"`` or ``"gaussian"``.
        padding_mode: how a slice smaller than the window is padded, see ``torch.nn.functional.pad``.
        cval: value of the padding in mode ``"constant"``.
        progress: show a progress bar over the windows.
        divisible_by: pad a slice that is smaller than the window only to the next multiple of this instead of to the
            window's size, which saves the time of the padding. Take the product of the network's strides. None: pad to
            the window, as SliceInferer does.
        neighbors: slices to either side that each slice is given as channels, see ``transforms.neighbor_slices``.

    Raises:
        ValueError: ``sw_batch_size``, ``overlap``, ``divisible_by`` or ``neighbors`` is out of its range.
    """

    def __init__(
        self,
        roi_size: Sequence[int] | int,
        sw_batch_size: int = 1,
        overlap: float = 0.25,
        mode: BlendMode | str = BlendMode.CONSTANT,
        padding_mode: PytorchPadMode | str = PytorchPadMode.CONSTANT,
        cval: float = 0.0,
        progress: bool = False,
        divisible_by: int | None = None,
        neighbors: int = 0,
    ) -> None:
        if sw_batch_size < 1:
            raise ValueError(f"sw_batch_size must be at least 1, got {sw_batch_size}.")
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap must be at least 0 and below 1, got {overlap}.")
        if divisible_by is not None and divisible_by < 1:
            raise ValueError(f"divisible_by must be at least 1, got {divisible_by}.")
        if neighbors < 0:
            raise ValueError(f"neighbors must not be negative, got {neighbors}.")
        self.neighbors = neighbors
        self.roi_size: tuple[int, int] = ensure_tuple_rep(roi_size, 2)
        self.sw_batch_size = sw_batch_size
        self.overlap = overlap
        self.mode = mode
        self.padding_mode = str(padding_mode)
        self.cval = cval
        self.progress = progress
        self.divisible_by = divisible_by

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Predict a batch of stacks.

        Args:
            inputs: ``(N, C, X, Y, Z)``, the slices along the last axis.
            network: maps ``(B, C * (1 + 2 * neighbors), X, Y)`` to ``(B, K, X, Y)``.
            args: passed on to the network.
            kwargs: passed on to the network.

        Returns:
            ``(N, K, X, Y, Z)`` with the metadata and dtype of the inputs.

        Raises:
            ValueError: the inputs have another number of axes, or the network returns maps of another size.
        """
        if inputs.ndim != 5:
            raise ValueError(f"inputs must be stacks of shape (N, C, X, Y, Z), got {tuple(inputs.shape)}.")
        volumes = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        predicted = self.predict(volumes, checked(network, *args, **kwargs)).to(volumes.dtype)
        return MetaTensor(predicted).copy_meta_from(inputs) if isinstance(inputs, MetaTensor) else predicted

    def predict(self, volumes: torch.Tensor, predictor: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Map volumes ``(N, C, X, Y, Z)`` to logits ``(N, K, X, Y, Z)``."""
        slices = as_slices(neighbor_slices(volumes, self.neighbors))
        return as_stacks(self.predict_slices(slices, predictor), len(volumes))

    def predict_slices(self, slices: torch.Tensor, predictor: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Map slices ``(B, C, X, Y)``, with their neighbors, to logits ``(B, K, X, Y)``."""
        size = slices.shape[2:]
        window = [self._window(n, roi) for n, roi in zip(size, self.roi_size, strict=True)]
        low = [max(w - n, 0) // 2 for n, w in zip(size, window, strict=True)]
        high = [max(w - n, 0) - before for n, w, before in zip(size, window, low, strict=True)]
        padded = F.pad(slices, (low[1], high[1], low[0], high[0]), mode=self.padding_mode, value=self.cval)
        if tuple(padded.shape[2:]) == tuple(window):
            predicted = torch.cat([predictor(batch) for batch in self.batches(padded)])
        else:
            # a tensor, since the predictor returns one
            blended = sliding_window_inference(
                padded, window, self.sw_batch_size, predictor, self.overlap, self.mode, progress=self.progress
            )
            predicted = cast(torch.Tensor, blended)
        return predicted[:, :, low[0] : low[0] + size[0], low[1] : low[1] + size[1]]

    def batches(self, slices: torch.Tensor) -> Iterator[torch.Tensor]:
        """Split slices ``(B, C, X, Y)`` into batches of ``sw_batch_size``."""
        return iter(tqdm(slices.split(self.sw_batch_size), disable=not self.progress))

    def _window(self, size: int, roi: int) -> int:
        """Return the window's size along an axis of the slice."""
        if roi > 0 and (self.divisible_by is None or size >= roi):
            return roi
        multiple = self.divisible_by or 1
        padded = math.ceil(size / multiple) * multiple
        return padded if roi <= 0 else min(roi, padded)


def as_slices(volumes: torch.Tensor) -> torch.Tensor:
    """Turn ``(N, C, X, Y, Z)`` into the slices ``(N * Z, C, X, Y)``."""
    n, channels, x, y, z = volumes.shape
    return volumes.permute(0, 4, 1, 2, 3).reshape(n * z, channels, x, y)


def as_stacks(slices: torch.Tensor, volumes: int) -> torch.Tensor:
    """Turn slices ``(N * Z, K, X, Y)`` into ``(N, K, X, Y, Z)``, N being ``volumes``."""
    _, channels, x, y = slices.shape
    return slices.reshape(volumes, -1, channels, x, y).permute(0, 2, 3, 4, 1)


def checked(network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """Bind a network's further arguments; what it returns must have the size of its input, else ``ValueError``."""

    def predictor(windows: torch.Tensor) -> torch.Tensor:
        return _same_size(windows, network(windows, *args, **kwargs))

    return predictor


def _same_size(windows: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
    if predicted.shape[2:] != windows.shape[2:]:
        raise ValueError(
            f"network must keep the size of its input {tuple(windows.shape[2:])}, got {tuple(predicted.shape[2:])}."
        )
    return predicted

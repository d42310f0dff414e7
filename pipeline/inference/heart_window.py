"""A 2D network over the slices of a stack, in a window around the heart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.utils import BlendMode, PytorchPadMode, ensure_tuple_rep
from scipy import ndimage

from pipeline.inference.heart_direction import quarter_turns, rv_direction_degrees
from pipeline.inference.inferer import SliceWindowInferer, as_slices, as_stacks, checked
from pipeline.inference.phases import spread
from pipeline.inference.views import mean_over_views
from pipeline.transforms import neighbor_slices

BACKGROUND_LOGIT = 10.0
"""Of the background outside of the window; the other classes have 0 there, and so a probability below 0.0001."""

MAX_GROWTHS = 3
"""How often a window that cuts the heart is enlarged before the whole slices are taken."""

Predictor = Callable[[torch.Tensor], torch.Tensor]
Window = tuple[slice, slice]


@dataclass(frozen=True)
class HeartView:
    """How a study is looked at.

    Attributes:
        window: slices along x and y of the padded image.
        turns: quarter turns from x toward y before the network sees the slices, for the RV to lie where it knows it.
    """

    window: Window
    turns: int = 0


class HeartWindowInferer(Inferer):
    """Finds the heart by a coarse look at some slices, then predicts all slices in one window around it.

    The network was trained on windows of ``heart_size`` with the heart near their center. Windows that slide cut the
    heart into parts, and large ones dilute the average that ASPP's image pooling sees; one window around the heart is
    what the network knows. It also costs a fraction of the whole slices. All phases of a batch share the window. Of a
    phase whose prediction reaches the window's border it grows. Outside of it is background.

    With ``rv_direction`` a heart that lies turned by more than ``direction_tolerance``, as where the header of a file
    lost its orientation, is turned by quarters until the RV lies where the network knows it best, if a second coarse
    look confirms it.

    Args:
        roi_size: size of the sliding window that finds the heart, along x and y; slices that fit into it go through the
            network whole.
        heart_size: smallest window around the heart, that of the training; a larger heart gets a larger window.
        sw_batch_size: windows, and slices of the second pass, that go through the network at once.
        overlap: overlap of neighboring windows, from 0 (none) to below 1.
        mode: how overlapping windows are blended, ``"constant"`` or ``"gaussian"``.
        margin: pixels between the heart and the border of its window, at least.
        divisible_by: sizes are padded or rounded up to multiples of it; the product of the network's strides.
        find_scale: of the slices that the heart is looked for in, in (0, 1]: 0.5 halves their resolution.
        find_slices: of each stack, at most so many, spread over it; None for all.
        find_phases: at most so many volumes of the batch, spread over it; None for all.
        padding_mode: how a slice that is too small is padded, see ``torch.nn.functional.pad``.
        cval: value of the padding in mode ``"constant"``.
        progress: show a progress bar over the windows.
        neighbors: slices to either side that each slice is given as channels, see ``transforms.neighbor_slices``.
        view_degrees: angles of the views of the window around the heart whose mean is taken, see
            :func:`mean_over_views`.
        rv_direction: usual direction from the LV to the RV in the training data, in degrees from the x axis toward the
            y axis; None leaves every heart as it lies.
        direction_tolerance: deviation from it that the network knows from its training, in degrees, at least 45.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        roi_size: Sequence[int] | int,
        heart_size: Sequence[int] | int,
        sw_batch_size: int = 1,
        overlap: float = 0.25,
        mode: BlendMode | str = BlendMode.CONSTANT,
        margin: int = 12,
        divisible_by: int = 8,
        find_scale: float = 1.0,
        find_slices: int | None = None,
        find_phases: int | None = None,
        padding_mode: PytorchPadMode | str = PytorchPadMode.CONSTANT,
        cval: float = 0.0,
        progress: bool = False,
        neighbors: int = 0,
        view_degrees: Sequence[float] = (0.0,),
        rv_direction: float | None = None,
        direction_tolerance: float = 75.0,
    ) -> None:
        self.whole = SliceWindowInferer(
            roi_size, sw_batch_size, overlap, mode, padding_mode, cval, progress, divisible_by, neighbors
        )
        self.heart_size: tuple[int, int] = ensure_tuple_rep(heart_size, 2)
        if min(self.heart_size) < 1:
            raise ValueError(f"heart_size must be positive, got {self.heart_size}.")
        if margin < 0:
            raise ValueError(f"margin must not be negative, got {margin}.")
        if not 0 < find_scale <= 1:
            raise ValueError(f"find_scale must be above 0 and at most 1, got {find_scale}.")
        for name, value in (("find_slices", find_slices), ("find_phases", find_phases)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1 or None, got {value}.")
        if not view_degrees:
            raise ValueError("view_degrees must have the angle of at least one view, such as 0, got none.")
        if not 45 <= direction_tolerance <= 180:
            raise ValueError(f"direction_tolerance must be from 45 to 180 degrees, got {direction_tolerance}.")
        self.margin, self.divisible_by = margin, divisible_by
        self.find_scale, self.find_slices, self.find_phases = find_scale, find_slices, find_phases
        self.neighbors, self.view_degrees = neighbors, tuple(view_degrees)
        self.rv_direction, self.direction_tolerance = rv_direction, direction_tolerance

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Predict a batch of stacks: volumes of one scan, its phases.

        Args:
            inputs: ``(N, C, X, Y, Z)``, the slices along the last axis.
            network: maps ``(B, C * (1 + 2 * neighbors), X, Y)`` to logits ``(B, K, X, Y)``, the background first.
            args: passed on to the network.
            kwargs: passed on to the network.

        Returns:
            Logits ``(N, K, X, Y, Z)`` with the metadata and dtype of the inputs.

        Raises:
            ValueError: the inputs have another number of axes, or the network returns maps of another size.
        """
        predictor = checked(network, *args, **kwargs)
        padded = self._padded(inputs)
        return self._predict(inputs, padded, self._find(padded, predictor), predictor)

    def deciding_phases(self, count: int) -> list[int]:
        """Return the phases that the heart is looked for in, of ``count``."""
        return spread(count, self.find_phases)

    def decide(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> WindowInferer:
        """Find the window around the heart once for a study whose phases are predicted in groups.

        Args:
            inputs: the ``deciding_phases``, ``(N, C, X, Y, Z)``.
            network: see :meth:`__call__`.
            args: passed on to the network.
            kwargs: passed on to the network.

        Returns:
            An inferer that takes this window. What it predicts of a phase does not depend on the others.

        Raises:
            ValueError: see :meth:`__call__`.
        """
        return WindowInferer(self, self._find(self._padded(inputs), checked(network, *args, **kwargs)))

    def predict_in(self, view: HeartView | None, inputs: torch.Tensor, predictor: Predictor) -> torch.Tensor:
        """Predict phases as :meth:`__call__` does, in a view that was found before; None for the whole slices."""
        return self._predict(inputs, self._padded(inputs), view, predictor)

    def _padded(self, inputs: torch.Tensor) -> torch.Tensor:
        volumes = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        if volumes.ndim != 5:
            raise ValueError(f"inputs must be stacks of shape (N, C, X, Y, Z), got {tuple(volumes.shape)}.")
        missing = [max(smallest - n, 0) for n, smallest in zip(volumes.shape[2:4], self.heart_size, strict=True)]
        low = [n // 2 for n in missing]
        padding = (0, 0, low[1], missing[1] - low[1], low[0], missing[0] - low[0])
        return F.pad(volumes, padding, mode=self.whole.padding_mode, value=self.whole.cval)

    def _predict(
        self, inputs: torch.Tensor, padded: torch.Tensor, view: HeartView | None, predictor: Predictor
    ) -> torch.Tensor:
        predicted = self._predict_all(padded, view, predictor)
        low = [(large - n) // 2 for large, n in zip(predicted.shape[2:4], inputs.shape[2:4], strict=True)]
        x, y = (slice(start, start + n) for start, n in zip(low, inputs.shape[2:4], strict=True))
        cut = predicted[:, :, x, y].to(inputs.dtype)
        return MetaTensor(cut).copy_meta_from(inputs) if isinstance(inputs, MetaTensor) else cut

    def _predict_all(self, volumes: torch.Tensor, view: HeartView | None, predictor: Predictor) -> torch.Tensor:
        if view is None:
            return self.whole.predict(volumes, predictor)
        window, predictor = view.window, turned(predictor, view.turns)
        limits = volumes.shape[2:4]
        inside = self._predict_window(volumes, window, predictor)
        predicted = _outside_is_background(inside, window, limits)
        for n in range(len(volumes)):
            seen = inside[n : n + 1]
            cut = cut_sides(seen, window, limits)
            if any(cut):
                seen = predicted[n : n + 1] = self._predict_larger(volumes[n : n + 1], window, cut, predictor)
            if not has_all_structures(seen):
                # the coarse look may have found something else than the heart
                predicted[n : n + 1] = self.whole.predict(volumes[n : n + 1], predictor)
        return predicted

    def _predict_larger(
        self, volume: torch.Tensor, window: Window, cut: Sequence[bool], predictor: Predictor
    ) -> torch.Tensor:
        limits = volume.shape[2:4]
        for _ in range(MAX_GROWTHS):
            window = self._grown(window, cut, limits)
            predicted = self._predict_window(volume, window, predictor)
            cut = cut_sides(predicted, window, limits)
            if not any(cut):
                return _outside_is_background(predicted, window, limits)
        return self.whole.predict(volume, predictor)

    def _find(self, volumes: torch.Tensor, predictor: Predictor) -> HeartView | None:
        slices = self._coarse_slices(volumes)
        heart, turns = self._look(slices, predictor), 0
        wanted = self._quarter_turns(heart)
        if wanted:
            again = self._look(slices, turned(predictor, wanted))
            if self._quarter_turns(again) == wanted:
                heart, turns = again, wanted
        box = heart_box(heart > 0)
        if box is None:
            return None
        scale = [n / small for n, small in zip(volumes.shape[2:4], heart.shape[1:], strict=True)]
        sides = [
            slice(math.floor(side.start * factor), math.ceil(side.stop * factor))
            for side, factor in zip(box, scale, strict=True)
        ]
        return HeartView(self._window(sides, volumes.shape[2:4]), turns)

    def _coarse_slices(self, volumes: torch.Tensor) -> torch.Tensor:
        phases = self.deciding_phases(len(volumes))
        some = volumes if len(phases) == len(volumes) else volumes[phases]
        stacked = neighbor_slices(some, self.neighbors)[..., spread(volumes.shape[-1], self.find_slices)]
        slices = as_slices(stacked)
        if self.find_scale < 1:
            slices = F.interpolate(slices, scale_factor=self.find_scale, mode="bilinear", antialias=True)
        return slices

    def _look(self, slices: torch.Tensor, predictor: Predictor) -> np.ndarray:
        """Label coarse slices ``(B, C, X, Y)``, as an array ``(B, X, Y)``."""
        x, y = slices.shape[2:]
        # at the far sides, so that places stay: the network asks for a smallest size
        missing = [max(smallest - n, 0) for n, smallest in zip((x, y), self.heart_size, strict=True)]
        padded = F.pad(slices, (0, missing[1], 0, missing[0]), value=self.whole.cval)
        return self.whole.predict_slices(padded, predictor)[:, :, :x, :y].max(dim=1).indices.cpu().numpy()

    def _quarter_turns(self, heart: np.ndarray) -> int:
        direction = None if self.rv_direction is None else rv_direction_degrees(heart)
        if self.rv_direction is None or direction is None:
            return 0
        return quarter_turns(direction, self.rv_direction, self.direction_tolerance)

    def _window(self, sides: Sequence[slice], limits: Sequence[int]) -> Window:
        x, y = (
            _span(side, smallest, self.margin, self.divisible_by, limit)
            for side, smallest, limit in zip(sides, self.heart_size, limits, strict=True)
        )
        return x, y

    def _grown(self, window: Window, cut: Sequence[bool], limits: Sequence[int]) -> Window:
        # by a quarter of the window and, with the margin, a little more on the sides that cut the heart
        sides = [
            slice(
                max(span.start - (span.stop - span.start) // 4, 0) if before else span.start + self.margin,
                min(span.stop + (span.stop - span.start) // 4, limit) if after else span.stop - self.margin,
            )
            for span, before, after, limit in zip(window, cut[::2], cut[1::2], limits, strict=True)
        ]
        return self._window(sides, limits)

    def _predict_window(self, volumes: torch.Tensor, window: Window, predictor: Predictor) -> torch.Tensor:
        x, y = window
        slices = as_slices(neighbor_slices(volumes[:, :, x, y], self.neighbors))
        parts = [mean_over_views(batch, predictor, self.view_degrees) for batch in self.whole.batches(slices)]
        return as_stacks(torch.cat(parts), len(volumes))


class WindowInferer(Inferer):
    """Predicts the phases of a study in the window that :class:`HeartWindowInferer` has found for it.

    Args:
        finder: which found it.
        view: window and turns; None for the whole slices.
    """

    def __init__(self, finder: HeartWindowInferer, view: HeartView | None) -> None:
        self.finder = finder
        self.view = view

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """See :class:`HeartWindowInferer`."""
        return self.finder.predict_in(self.view, inputs, checked(network, *args, **kwargs))


def turned(predictor: Predictor, turns: int) -> Predictor:
    """Return a predictor that turns its windows by quarters before, and what it predicts back."""
    if turns == 0:
        return predictor
    return lambda windows: predictor(windows.rot90(turns, (2, 3)).contiguous()).rot90(-turns, (2, 3))


def _outside_is_background(predicted: torch.Tensor, window: Window, limits: Sequence[int]) -> torch.Tensor:
    n, k, _, _, z = predicted.shape
    whole = predicted.new_zeros((n, k, limits[0], limits[1], z))
    whole[:, 0] = BACKGROUND_LOGIT
    whole[:, :, window[0], window[1]] = predicted
    return whole


def cut_sides(predicted: torch.Tensor, window: Window, limits: Sequence[int]) -> list[bool]:
    """Tell on which sides a window cuts the heart: where foreground reaches a border that is not the slice's own.

    Args:
        predicted: logits ``(N, K, *window, Z)``.
        window: slices along x and y.
        limits: size of the whole slice.

    Returns:
        Low and high side of x, low and high side of y.
    """
    return [
        window[0].start > 0 and bool(foreground(predicted[:, :, 0]).any()),
        window[0].stop < limits[0] and bool(foreground(predicted[:, :, -1]).any()),
        window[1].start > 0 and bool(foreground(predicted[:, :, :, 0]).any()),
        window[1].stop < limits[1] and bool(foreground(predicted[:, :, :, -1]).any()),
    ]


def foreground(logits: torch.Tensor) -> torch.Tensor:
    """Return where another class than the background has the highest logit.

    Args:
        logits: ``(N, K, ...)``, the background first.

    Returns:
        Mask ``(N, ...)``; equal logits are background, as ``argmax`` has it, which takes several times as long.
    """
    return logits[:, 1:].amax(dim=1) > logits[:, 0]


def has_all_structures(predicted: torch.Tensor) -> bool:
    """Return whether every class is somewhere the most probable one.

    Args:
        predicted: logits ``(1, K, X, Y, Z)``.
    """
    # max gives argmax's places in a seventh of the time
    labels = predicted.max(dim=1).indices
    return bool(labels.flatten().bincount(minlength=predicted.shape[1]).all())


def heart_box(heart: np.ndarray) -> tuple[slice, slice] | None:
    """Return the box of the heart.

    The heart is the piece of the stack's projection that most slices agree on, so that a false voxel far away moves
    nothing.

    Args:
        heart: mask of all slices ``(B, X, Y)``.

    Returns:
        Slices along x and y; None where there is no heart.
    """
    votes = heart.sum(axis=0)
    pieces, count = ndimage.label(votes > 0)
    if count == 0:
        return None
    largest = 1 + int(np.argmax(ndimage.sum_labels(votes, pieces, range(1, count + 1))))
    x, y = ndimage.find_objects(pieces)[largest - 1]
    return x, y


def _span(side: slice, smallest: int, margin: int, divisible_by: int, limit: int) -> slice:
    wanted = max(smallest, side.stop - side.start + 2 * margin)
    size = min(-(-wanted // divisible_by) * divisible_by, limit)
    start = min(max((side.start + side.stop - size) // 2, 0), limit - size)
    return slice(start, start + size)

"""A 2D network over the slices of a stack, in a window around the heart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.utils import BlendMode, PytorchPadMode, ensure_tuple_rep

from pipeline.inference.heart_box import Window, WindowRule
from pipeline.inference.heart_finder import HeartFinder
from pipeline.inference.heart_view import HeartView, Predictor
from pipeline.inference.inferer import SliceWindowInferer, as_slices, as_stacks, checked
from pipeline.inference.phases import DecidedInferer
from pipeline.inference.views import mean_over_views
from pipeline.labels import Structure
from pipeline.transforms import neighbor_slices

BACKGROUND_LOGIT = 10.0
"""Of the background outside of the window; the other classes have 0 there, and so a probability below 0.0001."""

MAX_GROWTHS = 3
"""How often a window that cuts the heart is enlarged before the whole slices are taken."""


class HeartWindowInferer(Inferer):
    """Finds the heart by a coarse look at some slices, then predicts all slices in one window around it.

    The network was trained on windows of ``heart_size`` with the heart near their center. Windows that slide cut the
    heart into parts, and large ones dilute the average that ASPP's image pooling sees; one window around the heart is
    what the network knows. It also costs a fraction of the whole slices. All phases of a batch share the window. Of a
    phase whose prediction reaches the window's border it grows. Outside of it is background.

    With ``rv_direction`` a heart that lies turned by more than ``direction_tolerance``, as where the header of a file
    lost its orientation, is turned by quarters until the RV lies where the network knows it best, if a second coarse
    look confirms it.

    With ``min_confidence`` a heart that the network does not know, as one whose blood is dark, is predicted in another
    orientation or contrast, if it knows it so: see :class:`HeartFinder`.

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
            y axis; None leaves hearts that are known as they lie.
        direction_tolerance: deviation from it that the network knows from its training, in degrees, at least 45.
        min_confidence: mean Dice that the coarse look expects of its structures, from 0 to 1; below it a closer look
            decides whether other orientations and contrasts are tried. 0 tries none.

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
        min_confidence: float = 0.0,
    ) -> None:
        self.whole = SliceWindowInferer(
            roi_size, sw_batch_size, overlap, mode, padding_mode, cval, progress, divisible_by, neighbors
        )
        smallest: tuple[int, int] = ensure_tuple_rep(heart_size, 2)
        if min(smallest) < 1:
            raise ValueError(f"heart_size must be positive, got {smallest}.")
        if margin < 0:
            raise ValueError(f"margin must not be negative, got {margin}.")
        if not view_degrees:
            raise ValueError("view_degrees must have the angle of at least one view, such as 0, got none.")
        self.rule = WindowRule(smallest, margin, divisible_by)
        self.view_degrees = tuple(view_degrees)
        self.find = HeartFinder(
            self.whole,
            self.rule,
            find_scale,
            find_slices,
            find_phases,
            rv_direction,
            direction_tolerance,
            min_confidence,
        )

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
        return self.predict_in(self.find(inputs, predictor), inputs, predictor)

    def deciding_phases(self, count: int) -> list[int]:
        """Return the phases that the heart is looked for in, of ``count``."""
        return self.find.deciding_phases(count)

    def decide(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> WindowInferer:
        """Find the window around the heart, its orientation and contrast once for a study, for all of its phases.

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
        return WindowInferer(self, self.find(inputs, checked(network, *args, **kwargs)))

    def predict_in(self, view: HeartView | None, inputs: torch.Tensor, predictor: Predictor) -> torch.Tensor:
        """Predict phases as :meth:`__call__` does, in a view that was found before; None for the whole slices."""
        predicted = self._predict_all(inputs, view, predictor)
        low = [(large - n) // 2 for large, n in zip(predicted.shape[2:4], inputs.shape[2:4], strict=True)]
        x, y = (slice(start, start + n) for start, n in zip(low, inputs.shape[2:4], strict=True))
        cut = predicted[:, :, x, y].to(inputs.dtype)
        return MetaTensor(cut).copy_meta_from(inputs) if isinstance(inputs, MetaTensor) else cut

    def _predict_all(self, inputs: torch.Tensor, view: HeartView | None, predictor: Predictor) -> torch.Tensor:
        if view is None:
            return self.whole.predict(self.find.canvas(inputs), predictor)
        window, predictor = view.window, view.shown.seen_by(predictor)
        volumes = self.find.canvas(inputs, view.shown.tone)
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
            window = self.rule.grown(window, cut, limits)
            predicted = self._predict_window(volume, window, predictor)
            cut = cut_sides(predicted, window, limits)
            if not any(cut):
                return _outside_is_background(predicted, window, limits)
        return self.whole.predict(volume, predictor)

    def _predict_window(self, volumes: torch.Tensor, window: Window, predictor: Predictor) -> torch.Tensor:
        x, y = window
        slices = as_slices(neighbor_slices(volumes[:, :, x, y], self.whole.neighbors))
        parts = [mean_over_views(batch, predictor, self.view_degrees) for batch in self.whole.batches(slices)]
        return as_stacks(torch.cat(parts), len(volumes))


class WindowInferer(DecidedInferer):
    """Predicts the phases of a study in the window that :class:`HeartWindowInferer` has found for it.

    Args:
        inferer: which found it.
        view: window, orientation and contrast; None for the whole slices.

    Attributes:
        flags: what the view says of the scan.
    """

    def __init__(self, inferer: HeartWindowInferer, view: HeartView | None) -> None:
        self.inferer = inferer
        self.view = view
        self.flags = () if view is None else view.flags()

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """See :class:`HeartWindowInferer`."""
        return self.inferer.predict_in(self.view, inputs, checked(network, *args, **kwargs))


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
    """Return whether background and every structure are somewhere the most probable class.

    Further labels do not count: a heart without a scar is whole.

    Args:
        predicted: logits ``(1, K, X, Y, Z)``, in the order of ``labels.Structure``, further labels behind them.
    """
    # max gives argmax's places in a seventh of the time
    labels = predicted.max(dim=1).indices
    return bool(labels.flatten().bincount(minlength=predicted.shape[1])[: len(Structure)].all())

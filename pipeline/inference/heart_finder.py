"""Finds the heart in a stack by a coarse look at some of its slices."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from monai.data import MetaTensor

from pipeline.inference.heart_box import Window, WindowRule, heart_box
from pipeline.inference.heart_direction import quarter_turns, rv_direction_degrees
from pipeline.inference.heart_view import Appearance, HeartView, Predictor
from pipeline.inference.inferer import SliceWindowInferer, as_slices
from pipeline.inference.phases import spread
from pipeline.inference.tones import AS_IT_IS, INVERTED, in_tone
from pipeline.labels import Structure
from pipeline.transforms import neighbor_slices
from pipeline.transforms.expected_dice import expected_dice

KNOWN_FROM = 0.8
"""Of the structure that a closer look knows least, the Dice that it expects, from which the network knows the heart.

Networks of five folds on ACDC: of 200 unseen cases the coarse look was unsure of 9. The closer one knew 7 of them by
0.85 and more, the others, one patient, by 0.91 after a look at full resolution. Of 24 cases mirrored, turned, inverted
or with other tone curves the coarse look was unsure of 22, which were known by 0.57 at most, and all but one by 0.84
and more in the right orientation and contrast. Single slices without an RV were known by up to 0.78 in wrong ones."""

SURE_FROM = 0.87
"""Confidence of the coarse look from which the slices are not looked at inverted. A network that was trained on
inverted images too is half sure of them, and better where they are inverted back. Of 200 unseen cases of ACDC 21 were
below, and none was surer inverted."""

MIN_GAIN = 0.05
"""By which confidence must rise for another orientation or contrast to be taken."""

CLOSER_LOOKS = 3
"""Of the other orientations and contrasts, so many are looked at closer: those that the coarse look is surest of."""


@dataclass(frozen=True)
class CoarseLook:
    """What the network sees in some slices at low resolution.

    Attributes:
        heart: their labels ``(B, X, Y)``, in the scan's orientation.
        confidence: mean Dice that the structures expect of themselves; 1 where nobody asks.
        shown: how the network was shown them.
    """

    heart: np.ndarray
    confidence: float
    shown: Appearance


class HeartFinder:
    """Finds the window around the heart, and the orientation and contrast in which a network knows it.

    A heart that lies turned by more than ``direction_tolerance`` is turned by quarters until the RV lies where the
    network knows it best, if a second coarse look confirms it. One whose blood is dark is inverted, if the coarse look
    is surer of it so and a closer one, in its window, knows it better. One that the coarse look is unsure of is looked
    at closer, and at full resolution. If the network does not know it there, it is shown in the other orientations of a
    square and in other contrasts (``tones.TONES``), and one of them is taken if the closer look knows the heart in it.

    Args:
        whole: runs the network over slices.
        rule: of the window.
        find_scale: resolution of the coarse look, in (0, 1].
        find_slices: of each stack, at most so many, spread over it; None for all.
        find_phases: at most so many volumes of the batch, spread over it; None for all.
        rv_direction: usual direction from the LV to the RV, in degrees from the x axis toward the y axis; None leaves
            hearts that are known as they lie.
        direction_tolerance: deviation from it that the network knows, in degrees, at least 45.
        min_confidence: mean Dice that the coarse look expects of its structures, from 0 to 1, below which a closer one
            is taken; 0 takes none.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        whole: SliceWindowInferer,
        rule: WindowRule,
        find_scale: float,
        find_slices: int | None,
        find_phases: int | None,
        rv_direction: float | None,
        direction_tolerance: float,
        min_confidence: float,
    ) -> None:
        if not 0 < find_scale <= 1:
            raise ValueError(f"find_scale must be above 0 and at most 1, got {find_scale}.")
        for name, value in (("find_slices", find_slices), ("find_phases", find_phases)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1 or None, got {value}.")
        if not 45 <= direction_tolerance <= 180:
            raise ValueError(f"direction_tolerance must be from 45 to 180 degrees, got {direction_tolerance}.")
        if not 0 <= min_confidence <= 1:
            raise ValueError(f"min_confidence must be from 0 to 1, got {min_confidence}.")
        self.whole, self.rule = whole, rule
        self.find_scale, self.find_slices, self.find_phases = find_scale, find_slices, find_phases
        self.rv_direction, self.direction_tolerance = rv_direction, direction_tolerance
        self.min_confidence = min_confidence

    def deciding_phases(self, count: int) -> list[int]:
        """Return the phases that the heart is looked for in, of ``count``."""
        return spread(count, self.find_phases)

    def __call__(self, inputs: torch.Tensor, predictor: Predictor) -> HeartView | None:
        """Find the heart.

        Args:
            inputs: volumes of one scan, ``(N, C, X, Y, Z)``.
            predictor: maps slices to logits ``(B, K, X, Y)``, the background first.

        Returns:
            How it is best looked at; None where there is none.

        Raises:
            ValueError: the inputs have another number of axes.
        """
        look = self._upright(inputs, self._bright_or_dark(inputs, predictor), predictor)
        known = 1.0
        if look.confidence < self.min_confidence:
            look, known = self._known_best(inputs, look, predictor)
            look = self._upright(inputs, look, predictor)
        window = self._window_around(look.heart, inputs)
        return None if window is None else HeartView(window, look.shown, known >= KNOWN_FROM)

    def _window_around(self, heart: np.ndarray, inputs: torch.Tensor) -> Window | None:
        box = heart_box(heart > 0)
        if box is None:
            return None
        limits = [max(n, smallest) for n, smallest in zip(inputs.shape[2:4], self.rule.smallest, strict=True)]
        scale = [n / small for n, small in zip(limits, heart.shape[1:], strict=True)]
        sides = [
            slice(math.floor(side.start * factor), math.ceil(side.stop * factor))
            for side, factor in zip(box, scale, strict=True)
        ]
        return self.rule.around(sides, limits)

    def _bright_or_dark(self, inputs: torch.Tensor, predictor: Predictor) -> CoarseLook:
        look = self._look(inputs, Appearance(), predictor)
        if self.min_confidence and look.confidence < SURE_FROM:
            inverted = self._look(inputs, Appearance(tone=INVERTED), predictor)
            surer = inverted.confidence >= max(self.min_confidence, look.confidence + MIN_GAIN)
            if surer and self._closer_look(inputs, inverted, predictor) > self._closer_look(inputs, look, predictor):
                return inverted
        return look

    def _upright(self, inputs: torch.Tensor, look: CoarseLook, predictor: Predictor) -> CoarseLook:
        wanted = 0 if look.shown.moved else self._quarter_turns(look.heart)
        if wanted:
            again = self._look(inputs, replace(look.shown, turns=wanted), predictor)
            if self._quarter_turns(again.heart) == wanted:
                return again
        return look

    def _known_best(self, inputs: torch.Tensor, look: CoarseLook, predictor: Predictor) -> tuple[CoarseLook, float]:
        """Return the look itself or one at another orientation or contrast, and how well a closer look knows it."""
        known = self._closer_look(inputs, look, predictor)
        if known < KNOWN_FROM and self.find_scale < 1:
            # small hearts may be lost at a lower resolution
            look = self._look(inputs, look.shown, predictor, scale=1.0)
            known = self._closer_look(inputs, look, predictor)
        if known >= KNOWN_FROM:
            return look, known
        others = [self._look(inputs, shown, predictor) for shown in look.shown.others()]
        surest = sorted(others, key=lambda other: other.confidence, reverse=True)[:CLOSER_LOOKS]
        closer = [self._closer_look(inputs, other, predictor) for other in surest]
        best = int(np.argmax(closer))
        if closer[best] >= max(KNOWN_FROM, known + MIN_GAIN):
            return surest[best], closer[best]
        return look, known

    def _closer_look(self, inputs: torch.Tensor, look: CoarseLook, predictor: Predictor) -> float:
        """Return what the least known structure expects in the window that a look found; 0 where it found none."""
        window = self._window_around(look.heart, inputs)
        if window is None:
            return 0.0
        slices = as_slices(self._chosen(inputs, look.shown.tone)[:, :, window[0], window[1]])
        return min(expected_of_structures(self.whole.predict_slices(slices, look.shown.seen_by(predictor))))

    def _chosen(self, inputs: torch.Tensor, tone: str) -> torch.Tensor:
        """Return the phases and slices that the heart is looked for in, with the slices' neighbors, as a canvas."""
        volumes = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        phases = self.deciding_phases(len(volumes))
        some = volumes if len(phases) == len(volumes) else volumes[phases]
        stacked = neighbor_slices(some, self.whole.neighbors)
        return self.canvas(stacked[..., spread(volumes.shape[-1], self.find_slices)], tone)

    def _look(
        self, inputs: torch.Tensor, shown: Appearance, predictor: Predictor, scale: float | None = None
    ) -> CoarseLook:
        slices, scale = as_slices(self._chosen(inputs, shown.tone)), scale or self.find_scale
        if scale < 1:
            slices = F.interpolate(slices, scale_factor=scale, mode="bilinear", antialias=True)
        x, y = slices.shape[2:]
        # at the far sides, so that places stay: the network asks for a smallest size
        missing = [max(smallest - n, 0) for n, smallest in zip((x, y), self.rule.smallest, strict=True)]
        padded = F.pad(slices, (0, missing[1], 0, missing[0]), value=self.whole.cval)
        logits = self.whole.predict_slices(padded, shown.seen_by(predictor))[:, :, :x, :y]
        expected = expected_of_structures(logits) if self.min_confidence else [1.0]
        return CoarseLook(logits.max(dim=1).indices.cpu().numpy(), sum(expected) / len(expected), shown)

    def _quarter_turns(self, heart: np.ndarray) -> int:
        direction = None if self.rv_direction is None else rv_direction_degrees(heart)
        if self.rv_direction is None or direction is None:
            return 0
        return quarter_turns(direction, self.rv_direction, self.direction_tolerance)

    def canvas(self, inputs: torch.Tensor, tone: str = AS_IT_IS) -> torch.Tensor:
        """Return stacks in a contrast, padded on all sides to the smallest window; windows are places in it.

        Args:
            inputs: ``(N, C, X, Y, Z)``.
            tone: of ``tones.TONES``.

        Raises:
            ValueError: the inputs have another number of axes.
        """
        volumes = in_tone(inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs, tone)
        if volumes.ndim != 5:
            raise ValueError(f"inputs must be stacks of shape (N, C, X, Y, Z), got {tuple(volumes.shape)}.")
        missing = [max(smallest - n, 0) for n, smallest in zip(volumes.shape[2:4], self.rule.smallest, strict=True)]
        low = [n // 2 for n in missing]
        padding = (0, 0, low[1], missing[1] - low[1], low[0], missing[0] - low[0])
        return F.pad(volumes, padding, mode=self.whole.padding_mode, value=self.whole.cval)


def expected_of_structures(logits: torch.Tensor) -> list[float]:
    """Return the Dice that the labels of slices expect of themselves, see ``transforms.expected_dice``.

    Args:
        logits: ``(B, K, X, Y)``, in the order of ``labels.Structure``, further labels behind them.

    Returns:
        Of each structure, from 0 to 1; 0 where it is nowhere the most probable one. Further labels do not count: a
        heart is known by the structures that every heart has.
    """
    expected = expected_dice(logits.float().softmax(dim=1).movedim(1, 0))[1 : len(Structure)]
    return [0.0 if math.isnan(value) else value for value in expected]

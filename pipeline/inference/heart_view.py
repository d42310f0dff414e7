"""How a network is shown the heart of a study, and what that says of the scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from pipeline.inference.heart_box import Window
from pipeline.inference.tones import AS_IT_IS, TONES
from pipeline.metrics.quality import QualityFlag

Predictor = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Appearance:
    """Orientation and contrast in which a network is shown slices.

    Attributes:
        mirrored: whether the x axis is reversed, before the turns.
        turns: quarter turns from x toward y.
        tone: contrast, of ``tones.TONES``.
    """

    mirrored: bool = False
    turns: int = 0
    tone: str = AS_IT_IS

    @property
    def moved(self) -> bool:
        """Whether the orientation is another one than the scan's."""
        return self.mirrored or self.turns != 0

    def others(self) -> Iterator[Appearance]:
        """Give those that differ in the orientation or the contrast, where that is still the scan's own."""
        if not self.moved:
            for mirrored in (False, True):
                for turns in range(0 if mirrored else 1, 4):
                    yield replace(self, mirrored=mirrored, turns=turns)
        if self.tone == AS_IT_IS:
            for tone in TONES:
                yield replace(self, tone=tone)

    def seen_by(self, predictor: Predictor) -> Predictor:
        """Return a predictor that moves windows ``(B, C, X, Y)`` before, and what it predicts back."""
        if not self.moved:
            return predictor

        def predict(windows: torch.Tensor) -> torch.Tensor:
            turned = (windows.flip(2) if self.mirrored else windows).rot90(self.turns, (2, 3))
            back = predictor(turned.contiguous()).rot90(-self.turns, (2, 3))
            return back.flip(2) if self.mirrored else back

        return predict


@dataclass(frozen=True)
class HeartView:
    """How a study is looked at.

    Attributes:
        window: slices along x and y of the padded image.
        shown: orientation and contrast in which the network sees it.
        known: whether the network knows the heart so.
    """

    window: Window
    shown: Appearance = Appearance()
    known: bool = True

    def flags(self) -> tuple[QualityFlag, ...]:
        """Return what is unlike the scans that the network was trained on."""
        flags = []
        if not self.known:
            message = "The model is unsure of the whole heart: look at the mask before you use its numbers."
            flags.append(QualityFlag("heart_hardly_known", message))
        if self.shown.moved:
            how = " and ".join(
                ["mirrored"] * self.shown.mirrored + [_degrees(self.shown.turns)] * bool(self.shown.turns)
            )
            message = f"The heart lies {how}, unlike those of the training: the file may have lost its orientation."
            flags.append(QualityFlag("orientation_unlike_training", message))
        if self.shown.tone != AS_IT_IS:
            message = f"The model knows the heart only in another contrast ({self.shown.tone})."
            flags.append(QualityFlag("contrast_unlike_training", message))
        return tuple(flags)


def _degrees(turns: int) -> str:
    return f"turned by {90 * min(turns, 4 - turns)} degrees"

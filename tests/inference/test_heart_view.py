from __future__ import annotations

import pytest

from pipeline.inference.heart_view import Appearance, HeartView
from pipeline.inference.tones import AS_IT_IS, TONES

OTHER_ORIENTATIONS = 7
WINDOW = (slice(0, 16), slice(0, 16))


@pytest.mark.parametrize(
    ("shown", "how"),
    [
        (Appearance(turns=1), "turned by 90 degrees"),
        (Appearance(turns=2), "turned by 180 degrees"),
        (Appearance(turns=3), "turned by 90 degrees"),
        (Appearance(mirrored=True), "mirrored"),
        (Appearance(mirrored=True, turns=1), "mirrored and turned by 90 degrees"),
    ],
)
def test_orientation_is_told(shown: Appearance, how: str) -> None:
    (flag,) = HeartView(WINDOW, shown).flags()
    assert flag.message.startswith(f"The heart lies {how}, unlike")


@pytest.mark.parametrize(
    ("view", "codes"),
    [
        (HeartView(WINDOW), []),
        (HeartView(WINDOW, known=False), ["heart_hardly_known"]),
        (HeartView(WINDOW, Appearance(tone="inverted")), ["contrast_unlike_training"]),
    ],
)
def test_flags_are_those_of_what_is_unusual(view: HeartView, codes: list[str]) -> None:
    assert [flag.code for flag in view.flags()] == codes


@pytest.mark.parametrize(
    ("shown", "number"),
    [
        (Appearance(), OTHER_ORIENTATIONS + len(TONES)),
        (Appearance(turns=1), len(TONES)),
        (Appearance(tone="inverted"), OTHER_ORIENTATIONS),
        (Appearance(mirrored=True, tone="inverted"), 0),
    ],
)
def test_what_was_changed_is_not_changed_again(shown: Appearance, number: int) -> None:
    others = set(shown.others())
    assert len(others) == number
    assert shown not in others and all(shown.tone in (AS_IT_IS, other.tone) for other in others)

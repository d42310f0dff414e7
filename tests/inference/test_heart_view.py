from __future__ import annotations

import pytest

from pipeline.inference.heart_view import Appearance
from pipeline.inference.tones import AS_IT_IS, TONES

OTHER_ORIENTATIONS = 7


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
    (flag,) = shown.flags()
    assert flag.message.startswith(f"The heart lies {how}: ")


def test_usual_heart_has_no_flag() -> None:
    assert Appearance().flags() == ()


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

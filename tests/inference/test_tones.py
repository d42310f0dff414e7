from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from pipeline.inference.tones import AS_IT_IS, TONES, in_tone


@pytest.mark.parametrize(
    ("tone", "expected"),
    [
        (AS_IT_IS, [0.0, 0.125, 0.5, 1.0]),
        ("inverted", [1.0, 0.875, 0.5, 0.0]),
        ("lower half", [0.0, 0.25, 1.0, 1.0]),
        # 1/8 lies in the middle of 0 and 0.06
        ("darker", [0.0, 0.03, 0.25, 1.0]),
        ("middle bright", [0.0, 0.25, 1.0, 0.0]),
    ],
)
def test_tone_maps_intensities(tone: str, expected: Sequence[float]) -> None:
    images = torch.tensor([0.0, 0.125, 0.5, 1.0]).view(1, 4, 1, 1)
    torch.testing.assert_close(in_tone(images.expand(2, 4, 1, 1), tone)[1].flatten(), torch.tensor(expected))


@pytest.mark.parametrize("tone", TONES)
def test_tone_uses_the_whole_range(tone: str) -> None:
    assert (min(TONES[tone]), max(TONES[tone]), len(TONES[tone])) == (0.0, 1.0, 5)

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.transforms.batch import RandContrastBatch

IMAGE = torch.tensor([0.2, 0.4, 0.6, 0.8]).view(1, 1, 2, 2)  # mean 0.5


def test_mean_stays_without_brightness() -> None:
    changed = RandContrastBatch(prob=1.0, brightness=0.0).set_random_state(0)(IMAGE.expand(10, 1, 2, 2))
    assert torch.allclose(changed.mean(dim=(1, 2, 3)), torch.tensor(0.5))
    assert not torch.allclose(changed, IMAGE)


def test_contrast_scales_around_the_mean_of_the_sample() -> None:
    changed = RandContrastBatch(prob=1.0, contrast=(2.0, 2.0), brightness=0.0)(torch.cat([IMAGE, IMAGE + 1]))
    assert changed[0].flatten().tolist() == pytest.approx([-0.1, 0.3, 0.7, 1.1])
    assert changed[1].flatten().tolist() == pytest.approx([0.9, 1.3, 1.7, 2.1])


def test_brightness_shifts_to_either_side(highest: np.random.RandomState, lowest: np.random.RandomState) -> None:
    transform = RandContrastBatch(prob=1.0, contrast=(1.0, 1.0), brightness=0.1)
    assert torch.allclose(transform.set_random_state(state=highest)(IMAGE), IMAGE + 0.1)
    assert torch.allclose(transform.set_random_state(state=lowest)(IMAGE), IMAGE - 0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contrast": (-1.0, 1.0)}, "contrast must be two rising numbers of at least 0"),
        ({"brightness": -0.1}, "brightness must be at least 0, got -0.1"),
    ],
)
def test_wrong_arguments_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandContrastBatch(**settings)

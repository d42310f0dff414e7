from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import ScaleIntensityRangePercentiles

from pipeline.transforms import ScaleIntensityPercentiles, ScaleIntensityPercentilesd
from pipeline.transforms.scale_percentiles import SAMPLE, percentile


def test_percentiles_become_0_and_1_and_the_rest_is_clipped() -> None:
    # of 0, 1, ..., 100 the 10th percentile is 10 and the 90th 90
    image = torch.arange(101.0).view(1, 101, 1, 1)
    scaled = ScaleIntensityPercentiles(10, 90)(image).flatten()
    assert scaled[[0, 10, 30, 50, 90, 100]].tolist() == pytest.approx([0, 0, 0.25, 0.5, 1, 1])


def test_each_phase_by_itself_as_monai_does() -> None:
    image = torch.from_numpy(np.random.RandomState(0).gamma(2.0, 100.0, (3, 21, 17, 5)))
    image[1] *= 7
    monai = ScaleIntensityRangePercentiles(1, 99, 0.0, 1.0, clip=True, channel_wise=True)(image)
    scaled = ScaleIntensityPercentiles(1, 99)(image)
    assert scaled.dtype == torch.float32
    torch.testing.assert_close(scaled, torch.as_tensor(monai.as_tensor()), rtol=0, atol=1e-6)


def test_image_of_one_value_becomes_0() -> None:
    assert ScaleIntensityPercentiles()(torch.full((1, 4, 4, 2), 7.0)).unique().tolist() == [0.0]


def test_metadata_stay_and_the_image_is_not_changed() -> None:
    affine = torch.diag(torch.tensor([1.4, 1.4, 8.0, 1.0], dtype=torch.float64))
    image = MetaTensor(torch.arange(24.0).view(1, 4, 3, 2), affine=affine, meta={"case_id": "a"})
    item = ScaleIntensityPercentilesd("image", 0, 100)({"image": image, "other": 1})
    assert item["other"] == 1
    assert torch.equal(item["image"].affine, affine)
    assert item["image"].meta["case_id"] == "a"
    assert item["image"].flatten()[-1] == 1
    assert image.flatten()[-1] == 23


@pytest.mark.parametrize("lower, upper", [(-1, 99), (1, 101), (50, 50), (99, 1)])
def test_wrong_percentiles_are_named(lower: float, upper: float) -> None:
    with pytest.raises(ValueError, match=rf"rising and in \[0, 100\], got {lower} and {upper}"):
        ScaleIntensityPercentiles(lower, upper)


@pytest.mark.parametrize("percent", [0, 0.5, 1, 2.5, 30, 50, 90, 99, 99.7, 100])
@pytest.mark.parametrize("count", [1, 2, 7, 100, 50_001])
def test_percentile_of_a_tail_is_that_of_all(count: int, percent: float) -> None:
    values = np.random.RandomState(0).gamma(2.0, 100.0, count).astype(np.float32)
    assert percentile(values, percent) == pytest.approx(float(np.percentile(values, percent)), rel=1e-6)


@pytest.mark.parametrize("percent", [1, 99])
def test_percentile_that_the_sample_misjudges(percent: float) -> None:
    # the values of the sample are far from the others
    values = np.random.RandomState(0).normal(0.0, 1.0, 60_000).astype(np.float32)
    values[np.linspace(0, 59_999, SAMPLE).astype(np.int64)] += 1000 if percent == 99 else -1000
    assert percentile(values, percent) == pytest.approx(float(np.percentile(values, percent)), rel=1e-6)


def test_percentile_of_many_equal_values() -> None:
    values = np.repeat(np.float32([0, 3, 5]), [59_000, 900, 100])
    assert percentile(values, 1) == 0
    assert percentile(values, 99) == 3  # place 59,399.01 of the sorted values
    assert percentile(values, 99.9) == 5

"""Heart rate and body size, where they can be true."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.data.dicom.frame import Frame
from pipeline.data.dicom.patient import heart_rate_bpm, height_cm, weight_kg

Make = Callable[..., Frame]


def test_heart_rate_is_the_median_of_the_images(make_frame: Make) -> None:
    frames = [make_frame(heart_rate_bpm=rate) for rate in (60.0, 66.0, 90.0, None)]
    assert heart_rate_bpm(frames) == 66.0


@pytest.mark.parametrize("rate", [None, 0.0, 1000.0])
def test_heart_rate_comes_from_the_beat_where_none_is_written(make_frame: Make, rate: float | None) -> None:
    # 60 000 ms a minute in beats of 900 ms
    assert heart_rate_bpm([make_frame(heart_rate_bpm=rate, rr_interval_ms=900.0)]) == pytest.approx(66.67)


@pytest.mark.parametrize("interval_ms", [None, 0.0, 1e9])
def test_heart_rate_may_be_unknown(make_frame: Make, interval_ms: float | None) -> None:
    assert heart_rate_bpm([make_frame(rr_interval_ms=interval_ms)]) is None


@pytest.mark.parametrize(("size", "height"), [(1.75, 175.0), (None, None), (0.0, None), (-1.0, None), (9000.0, None)])
def test_height_is_written_in_meters(size: float | None, height: float | None) -> None:
    assert height_cm(size) == (height, [])


def test_height_in_cm_is_told() -> None:
    height, repairs = height_cm(175.0)
    assert height == 175.0
    assert [repair.resolution for repair in repairs] == ["taken as cm"]


@pytest.mark.parametrize(("written", "weight"), [(70.0, 70.0), (0.0, None), (None, None), (9999.0, None)])
def test_weight_of_zero_is_unknown(written: float | None, weight: float | None) -> None:
    assert weight_kg(written) == weight

"""What ``pipeline.tracking`` offers: imported when it is asked for."""

from __future__ import annotations

import pytest

import pipeline.tracking


@pytest.mark.parametrize("name", pipeline.tracking.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(pipeline.tracking, name).__name__ == name


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match=r"module 'pipeline.tracking' has no attribute 'Runner'"):
        _ = pipeline.tracking.Runner

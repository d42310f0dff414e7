from __future__ import annotations

import pytest

from pipeline.errors import InputError
from pipeline.flags import as_flag


@pytest.mark.parametrize("value", [True, 1, "true", "True", " YES ", "on", "1"])
def test_yes(value: bool | str | int) -> None:
    assert as_flag("resume", value) is True


@pytest.mark.parametrize("value", [False, 0, "false", "FALSE", "no", "off", "0"])
def test_no(value: bool | str | int) -> None:
    assert as_flag("resume", value) is False


@pytest.mark.parametrize("value", ["", "maybe", 2, "None"])
def test_anything_else_is_refused(value: str | int) -> None:
    with pytest.raises(InputError, match=f"resume must be true or false, got '{value}'"):
        as_flag("resume", value)

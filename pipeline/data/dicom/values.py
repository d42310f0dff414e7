"""Values of a DICOM data set that may be missing, empty or nonsense."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from pydicom import config
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID


@cache
def _tag(keyword: str) -> BaseTag:
    return Tag(keyword)


def value(dataset: Dataset, keyword: str) -> Any:
    """Return the value of an attribute, None where it is missing, empty, or breaks the rules of its type."""
    tag = _tag(keyword)
    # most headers lack most of what is asked for; this way is the cheapest to find out
    if tag not in dataset:
        return None
    try:
        found = dataset[tag].value
    except (ValueError, TypeError, ArithmeticError, AttributeError, NotImplementedError):
        return None
    return None if found is None or found == "" else found


def numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return the ``count`` finite numbers of an attribute, None where it has others."""
    found = value(dataset, keyword)
    if found is None:
        return None
    try:
        values = tuple(float(item) for item in ([found] if isinstance(found, (str, bytes, int, float)) else found))
    except (ValueError, TypeError, OverflowError):
        return None
    return values if len(values) == count and all(math.isfinite(item) for item in values) else None


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return the finite number of an attribute, None where it has none."""
    found = numbers(dataset, keyword, 1)
    return found[0] if found else None


def whole(dataset: Dataset, keyword: str, default: int) -> int:
    """Return the whole number of an attribute, ``default`` where it has none."""
    found = number(dataset, keyword)
    return default if found is None else int(found)


def text(dataset: Dataset, keyword: str) -> str:
    """Return the text of an attribute without surrounding blanks, empty where it is missing."""
    return "\\".join(texts(dataset, keyword))


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Return the texts of an attribute of several values, none where it is missing."""
    found = value(dataset, keyword)
    if found is None:
        return ()
    items = [found] if isinstance(found, (str, int, float)) or not hasattr(found, "__iter__") else found
    return tuple(str(item).strip() for item in items)


def seconds_of_day(clock: str) -> float | None:
    """Return the seconds after midnight of a DICOM time ``HHMMSS.FFFFFF`` or date and time ``YYYYMMDDHHMMSS.FFFFFF``.

    Source: DICOM PS3.5, section 6.2, value representations TM and DT.
    """
    digits, _, fraction = clock.partition(".")
    digits = digits.split("+")[0].split("-")[0]
    time = (digits[8:] if len(digits) >= 12 else digits).ljust(6, "0")
    fraction = fraction.split("+")[0].split("-")[0]
    if not digits or not time.isdecimal() or not (fraction or "0").isdecimal():
        return None
    return int(time[:2]) * 3600 + int(time[2:4]) * 60 + int(time[4:6]) + float(f"0.{fraction or 0}")


def printable(text: str, length: int = 40) -> str:
    """Return a text that came from a file as one line that does nothing to a terminal, cut to a length."""
    clean = "".join(character if character.isprintable() else "?" for character in text)
    return clean if len(clean) <= length else clean[: length - 1] + "…"


def syntax_name(transfer_syntax_uid: str) -> str:
    """Return the name of a transfer syntax, of an unknown one its UID."""
    return printable(UID(transfer_syntax_uid, config.IGNORE).name) or "unknown"

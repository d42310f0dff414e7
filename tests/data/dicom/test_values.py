"""Attributes that are missing, empty or nonsense."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset, config
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from pipeline.data.dicom.values import number, numbers, printable, seconds_of_day, syntax_name, text, texts, whole


def raw(keyword: str, vr: str, value: bytes) -> Dataset:
    """An attribute as it stands in a file, valid or not."""
    dataset = Dataset()
    dataset[Tag(keyword)] = RawDataElement(Tag(keyword), vr, len(value), value, 0, False, True)
    return dataset


@pytest.fixture(autouse=True)
def _lenient() -> Any:
    with config.disable_value_validation():
        yield


def test_numbers_are_read() -> None:
    assert numbers(raw("PixelSpacing", "DS", b"1.5\\1.25 "), "PixelSpacing", 2) == (1.5, 1.25)


@pytest.mark.parametrize("value", [b"1.5", b"wide\\high", b"nan\\1", b"", b"inf\\inf"])
def test_numbers_that_are_none_are_missing(value: bytes) -> None:
    assert numbers(raw("PixelSpacing", "DS", value), "PixelSpacing", 2) is None


def test_missing_attributes_are_missing() -> None:
    assert number(Dataset(), "TriggerTime") is None
    assert text(Dataset(), "SeriesDescription") == ""
    assert texts(Dataset(), "ImageType") == ()


@pytest.mark.parametrize(("value", "expected"), [(b"20", 20), (b"many", 1), (b"", 1)])
def test_whole_numbers_have_a_default(value: bytes, expected: int) -> None:
    assert whole(raw("NumberOfFrames", "IS", value), "NumberOfFrames", 1) == expected


def test_texts_of_several_values_are_joined() -> None:
    dataset = raw("ImageType", "CS", b"ORIGINAL\\PRIMARY \\M")
    assert texts(dataset, "ImageType") == ("ORIGINAL", "PRIMARY", "M")
    assert text(dataset, "ImageType") == "ORIGINAL\\PRIMARY\\M"


@pytest.mark.parametrize(
    ("clock", "seconds"),
    [
        ("010203.5", 3723.5),
        ("0102", 3720.0),
        ("20200131010203.25", 3723.25),
        ("20200131010203.25+0100", 3723.25),
        ("", None),
        ("noon", None),
        ("010203.x", None),
    ],
)
def test_seconds_of_day(clock: str, seconds: float | None) -> None:
    assert seconds_of_day(clock) == seconds


def test_printable_text_steers_no_terminal_and_is_one_line() -> None:
    assert printable("a\x1b[2J\nb") == "a?[2J?b"
    assert printable("x" * 50) == "x" * 39 + "…"


@pytest.mark.parametrize(
    ("uid", "name"),
    [("1.2.840.10008.1.2.1", "Explicit VR Little Endian"), ("", "unknown"), ("no\x1b uid", "no? uid")],
)
def test_transfer_syntax_has_a_name(uid: str, name: str) -> None:
    assert syntax_name(uid) == name

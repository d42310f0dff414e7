"""Reads the scans of a cohort one by one, and makes a value of what goes wrong."""

from __future__ import annotations

import errno
import logging
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from gzip import BadGzipFile
from typing import Any, TypeVar

from nibabel.filebasedimages import ImageFileError
from torch.utils.data import Dataset

from pipeline.errors import exception_chain, input_error_within

logger = logging.getLogger(__name__)

Value = TypeVar("Value")

DAMAGED_FILE_ERRORS = (EOFError, zlib.error, BadGzipFile, ImageFileError)
"""What nibabel and gzip raise of a file that is cut off or no image."""


def attempt(work: Callable[[], Value]) -> tuple[Value | None, str]:
    """Run a piece of work on one scan.

    Args:
        work: a function without arguments.

    Returns:
        Its value and an empty reason; or None and the reason why it failed.
    """
    try:
        return work(), ""
    # one bad scan must not cost the cohort its other scans, whatever is wrong with it
    except Exception as error:
        logger.debug("A scan failed.", exc_info=True)
        return None, explain(error)


def explain(error: BaseException) -> str:
    """Return what a user should read of an error: the innermost InputError, else the error that began it all.

    Args:
        error: the error as it was caught, with those that it was raised from.

    Returns:
        The message; of other errors than InputError with the name of its class, and with a way out where the file is
        damaged or the disk is full.
    """
    readable = input_error_within(error)
    if readable is not None:
        return str(readable)
    chain = exception_chain(error)
    full = [link for link in chain if isinstance(link, OSError) and link.errno == errno.ENOSPC]
    if full:
        return _no_space(full)
    first = chain[-1]
    cause = f"{type(first).__name__}: {first}"
    damaged = isinstance(first, DAMAGED_FILE_ERRORS)
    return f"the file is damaged or incomplete ({cause}). Copy or export it again." if damaged else cause


def _no_space(errors: Sequence[OSError]) -> str:
    where = next((f" of {error.filename}" for error in errors if error.filename), "")
    return f"no space left on the device{where}: free some, or choose another --output_dir."


@dataclass(frozen=True)
class ReadScan:
    """One scan as read.

    Attributes:
        index: its place in the data set.
        item: it, with its image ``(T, X, Y, Z)``; None where reading failed.
        reason: why it failed, else empty.
        seconds: time that reading took.
    """

    index: int
    item: dict[str, Any] | None
    reason: str
    seconds: float


class ScanReader(Dataset[ReadScan]):
    """The scans of a data set as read and checked, without exceptions.

    Args:
        datalist: the scans.
        read: makes of an item of the datalist one with its image.
        places: of the scans to read; None for all.
    """

    def __init__(
        self, datalist: Sequence[Any], read: Callable[[Any], dict[str, Any]], places: Sequence[int] | None = None
    ) -> None:
        self.datalist = datalist
        self.read = read
        self.places = range(len(datalist)) if places is None else places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> ReadScan:
        index = self.places[number]
        start = time.perf_counter()
        item, reason = attempt(lambda: self.read(self.datalist[index]))
        return ReadScan(index, item, reason, time.perf_counter() - start)

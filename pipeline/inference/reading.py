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

from monai.data import Dataset as MonaiDataset
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
        batch: its preprocessed batch; None where reading failed.
        reason: why it failed, else empty.
        seconds: time that reading took.
    """

    index: int
    batch: dict[str, Any] | None
    reason: str
    seconds: float


class ScanReader(Dataset[ReadScan]):
    """The batches of a data set, a scan each, without exceptions.

    Args:
        dataset: the scans with their preprocessing.
        collate_fn: makes a batch of a list of one item.
    """

    def __init__(self, dataset: MonaiDataset, collate_fn: Callable[[list[Any]], dict[str, Any]]) -> None:
        self.dataset = dataset
        self.collate_fn = collate_fn

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> ReadScan:
        start = time.perf_counter()
        batch, reason = attempt(lambda: self.collate_fn([self.dataset[index]]))
        return ReadScan(index, batch, reason, time.perf_counter() - start)

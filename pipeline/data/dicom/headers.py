"""Reads the headers of DICOM files, each once, and sets aside what is none or is damaged."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from pydicom import config, dcmread
from pydicom.dataset import FileDataset
from pydicom.encaps import parse_fragments
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian
from tqdm import tqdm

from pipeline.data.dicom.frame import Frame
from pipeline.data.dicom.frames import MAX_FRAMES, TAGS, make_frames, make_header
from pipeline.data.dicom.values import text, value, whole
from pipeline.progress import bar_pace

MANY_FILES = 1000
"""From so many files on, reading them shows a progress bar."""

_TAGS = [Tag(keyword) for keyword in TAGS]
_CMS_ENVELOPED_DATA = bytes.fromhex("06092a864886f70d010703")
_FILES_REMEMBERED = 100_000


@dataclass(frozen=True)
class BadFile:
    """A file that was made as a DICOM object and cannot be used.

    Attributes:
        path: the file.
        reason: why.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Headers:
    """What the headers of some files say.

    Attributes:
        frames: the images, in the order of the files.
        bad: DICOM files that cannot be used.
        others: number of other files, DICOM objects without pixels (reports, directories) among them.
    """

    frames: tuple[Frame, ...]
    bad: tuple[BadFile, ...]
    others: int


def read_headers(paths: Sequence[str | os.PathLike[str]], progress: bool = False) -> Headers:
    """Read the headers of files, whatever they are; a file that has not changed since is not read again.

    Args:
        paths: the files, of any kind.
        progress: show a progress bar where there are ``MANY_FILES``.

    Returns:
        The images, and what could not be used. A file that is cut off within its pixels still gives its image, with
        the reason in ``header.damage``.
    """
    frames: list[Frame] = []
    bad: list[BadFile] = []
    others = 0
    with quiet_pydicom():
        hidden = not progress or len(paths) < MANY_FILES
        for path in tqdm(paths, desc="read DICOM headers", unit="file", **bar_pace(), disable=hidden):
            found, reason = _file_frames(os.fspath(path))
            frames.extend(found)
            if reason:
                bad.append(BadFile(os.fspath(path), reason))
            others += not found and not reason
    return Headers(tuple(frames), tuple(bad), others)


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from warning of each broken value: the rules of this package say what is wrong once a study."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(level)


def _file_frames(path: str) -> tuple[tuple[Frame, ...], str]:
    try:
        state = os.stat(path)
    except OSError as error:
        return (), f"it cannot be read ({error.strerror})"
    return _read_file(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=_FILES_REMEMBERED)
def _read_file(path: str, size: int, mtime_ns: int) -> tuple[tuple[Frame, ...], str]:
    """Return the images of a file, and why it is of no use although it is DICOM; neither for another file."""
    dicom = False
    try:
        with open(path, "rb") as file:
            start = file.read(132)
            dicom = start[128:] == b"DICM"
            if _CMS_ENVELOPED_DATA in start[:64]:
                return (), "it is encrypted (a Secure DICOM File); decrypt it first"
            # old files begin with their first attribute, without preamble
            if not dicom and start[:2] not in (b"\x08\x00", b"\x02\x00"):
                return (), ""
            file.seek(0)
            dataset = dcmread(file, stop_before_pixels=True, force=True, specific_tags=_TAGS)
            return _make(dataset, path, _missing_pixels(dataset, file, size))
    # what a damaged file makes pydicom raise depends on its bytes; one bad file must not cost the others
    except Exception as error:
        return (), f"its header is damaged ({type(error).__name__})" if dicom else ""


def _make(dataset: FileDataset, path: str, damage: str) -> tuple[tuple[Frame, ...], str]:
    header = make_header(dataset, sys.intern(path), damage)
    frames = make_frames(dataset, header)
    if frames or not header.sop_class_uid:
        return frames, ""
    if value(dataset, "EncryptedAttributesSequence"):
        return (), "attributes that are needed are encrypted; decrypt them first"
    # an image object whose size is not known broke off before it was told
    return (), "it is cut off within its header" if header.modality in ("", "MR") and _is_image(header) else ""


def _is_image(header: object) -> bool:
    name = UID(getattr(header, "sop_class_uid", "")).name
    return "Image Storage" in name


def _missing_pixels(dataset: FileDataset, file: BinaryIO, size: int) -> str:
    """Return what is wrong with the pixel data that a file should hold from here on, empty where it is complete."""
    meta = getattr(dataset, "file_meta", None)
    syntax = UID(text(meta, "TransferSyntaxUID")) if meta is not None else UID("")
    if syntax == DeflatedExplicitVRLittleEndian or not whole(dataset, "Rows", 0):
        return ""
    frames = whole(dataset, "NumberOfFrames", 1)
    if frames > MAX_FRAMES:
        return f"it claims to hold {frames} images"
    left = size - file.tell()
    if left <= 0:
        if value(dataset, "EncryptedAttributesSequence"):
            return "its pixel data is encrypted; decrypt it first"
        return "it has no pixel data: it is cut off, or they were taken out"
    if syntax and syntax.is_transfer_syntax and syntax.is_encapsulated:
        return _broken_fragments(file, size)
    bits = whole(dataset, "BitsAllocated", 16) * whole(dataset, "SamplesPerPixel", 1)
    pixels = whole(dataset, "Rows", 0) * whole(dataset, "Columns", 0) * max(whole(dataset, "NumberOfFrames", 1), 1)
    tag = 8 if dataset.original_encoding[0] else 12
    return "" if left >= tag + pixels * bits // 8 else "it is cut off within its pixel data"


def _broken_fragments(file: BinaryIO, size: int) -> str:
    """Return what is wrong with compressed pixel data, empty where all fragments are there."""
    file.seek(12, os.SEEK_CUR)
    try:
        _, offsets = parse_fragments(file)
    except ValueError:
        return "its compressed pixel data are damaged or cut off"
    if not offsets:
        return "its compressed pixel data are empty"
    file.seek(offsets[-1] + 4)
    end = offsets[-1] + 8 + int.from_bytes(file.read(4), "little")
    return "" if end <= size else "it is cut off within its pixel data"

"""Reads what a study says of its short-axis cine, voxels apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.data.dicom.choice import candidates, choose
from pipeline.data.dicom.cine import CineStack, Repair
from pipeline.data.dicom.frame import Frame
from pipeline.data.dicom.headers import BadFile, Headers, read_headers
from pipeline.data.dicom.rules import plural
from pipeline.data.dicom.stack import build_stack
from pipeline.data.dicom.values import printable
from pipeline.data.walk import walk_files
from pipeline.errors import InputError

Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, eq=False)
class Study:
    """The images of one study.

    Attributes:
        uid: Study Instance UID, valid or not.
        frames: the images, in the order of the files.
    """

    uid: str
    frames: tuple[Frame, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """The files, each once."""
        return tuple(dict.fromkeys(frame.path for frame in self.frames))

    @property
    def has_mr(self) -> bool:
        """Whether any image is one of magnetic resonance."""
        return any(frame.header.modality == "MR" for frame in self.frames)


def read_cine(source: Source, series: str | int = "") -> CineStack:
    """Read the headers of a study and return its short-axis cine; the voxels come by ``load_pixels``.

    Headers are remembered as long as size and time of their files stay, so that a second call costs little.

    Args:
        source: the study's folder, one of its files (multi-frame), or a list of its files. A folder is searched to the
            bottom; other files in it do not matter.
        series: Series Instance UID or Series Number of the cine; empty to choose it.

    Returns:
        The stack: grid, times, where each image came from, and what was mended.

    Raises:
        InputError: there is no DICOM, no cine, several studies, or the cine breaks a rule that cannot be mended (see
            ``pipeline.data.dicom.rules``).
    """
    where, series = describe(source), str(series)
    headers = read_headers(source_files(source), progress=True)
    study = _only_study(headers, series, where)
    found = candidates(study.frames)
    choice = choose(found, series, where)
    others = [candidate.group for candidate in found if candidate is not choice.candidate]
    stack = build_stack(choice.candidate.group, others, where, choice.reason)
    doubts = (*choice.repairs, *unreadable(headers.bad))
    return _with_repairs(stack, doubts)


def _with_repairs(stack: CineStack, repairs: Sequence[Repair]) -> CineStack:
    return replace(stack, repairs=(*repairs, *stack.repairs)) if repairs else stack


def source_files(source: Source) -> list[str]:
    """Return the files of a folder, a file or a list of files.

    Raises:
        InputError: one of them does not exist.
    """
    paths = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    files: list[str] = []
    for path in map(Path, paths):
        if path.is_dir():
            files += [str(file) for file in walk_files(path)]
        elif path.exists():
            files.append(str(path))
        else:
            raise InputError(f"{path} does not exist. Restore it, or take the case out.")
    return files


def describe(source: Source) -> str:
    """Return the folder of a study, for messages."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    folders = {os.path.dirname(os.path.abspath(path)) for path in source}
    if not folders:
        return "an empty list of files"
    try:
        return os.path.commonpath(folders)
    except ValueError:  # on several drives of Windows
        return min(folders)


def split_studies(frames: Sequence[Frame]) -> list[Study]:
    """Return the studies in the order of their first files."""
    by_uid: dict[str, list[Frame]] = {}
    for frame in frames:
        by_uid.setdefault(frame.header.study_uid, []).append(frame)
    return [Study(uid, tuple(images)) for uid, images in by_uid.items()]


def unreadable(bad: Sequence[BadFile]) -> list[Repair]:
    """Return what is said of files whose headers cannot be used."""
    if not bad:
        return []
    problem = f"{plural(len(bad), 'DICOM file')} cannot be used: {bad[0].reason}"
    return [Repair(problem, "left out")]


def no_images(headers: Headers, where: str) -> InputError:
    """Return the error that says what files without any image are."""
    if headers.bad:
        first = headers.bad[0]
        return InputError(
            f"{where} holds no DICOM image that can be used: {first.path}: {first.reason}"
            + (f", and {len(headers.bad) - 1} more." if len(headers.bad) > 1 else ".")
        )
    files = plural(headers.others, "file") if headers.others else "it is empty"
    return InputError(f"{where} holds no DICOM image ({files}). Give the folder of a study.")


def no_mr(headers: Headers, where: str) -> InputError:
    """Return the error that says what DICOM files without any MR image are."""
    if not headers.frames:
        return no_images(headers, where)
    first = headers.frames[0]
    modalities = sorted({printable(frame.header.modality, 16) or "unknown" for frame in headers.frames})
    return InputError(
        f"{where} must hold cardiac MR (modality MR), got modality {', '.join(modalities)}, such as {first.path}."
    )


def _only_study(headers: Headers, series: str, where: str) -> Study:
    matching = [study for study in split_studies(headers.frames) if study.has_mr]
    if not matching:
        raise no_mr(headers, where)
    if len(matching) > 1 and series:
        matching = [study for study in matching if _has_series(study, series)] or matching
    if len(matching) > 1:
        files = ", ".join(study.files[0] for study in matching[:5])
        raise InputError(
            f"{where} holds {len(matching)} studies, such as those of {files}. Give the folder or the files of one."
        )
    return matching[0]


def _has_series(study: Study, series: str) -> bool:
    return any(series in (frame.header.series_uid, str(frame.header.series_number)) for frame in study.frames)

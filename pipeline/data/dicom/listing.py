"""Lists what DICOM files hold: studies, their series, and which is the short-axis cine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.data.dicom.choice import Candidate, Choice, candidates, choose
from pipeline.data.dicom.cine import CineStack
from pipeline.data.dicom.headers import read_headers
from pipeline.data.dicom.stack import build_stack
from pipeline.data.dicom.study import Source, Study, describe, no_images, source_files, split_studies
from pipeline.data.dicom.values import printable, syntax_name
from pipeline.errors import InputError

_LONGEST_LINE = 2000
_COLUMNS = (
    "study", "series", "description", "kind", "slices x phases", "size", "spacing mm", "transfer syntax", "chosen",
)  # fmt: skip


@dataclass(frozen=True)
class ListedSeries:
    """Parallel images of a series, or of several that make one stack.

    Attributes:
        series_number: Series Number of the first image, None where it has none.
        series_instance_uids: of the series.
        description: Series Description, printable.
        kind: such as ``"short-axis cine"``, ``"scout"``.
        slices: number of positions.
        phases: number of images that most positions have.
        columns: pixels along x.
        rows: pixels along y.
        spacing_mm: distances of columns, rows and slices; None where they are not known.
        transfer_syntax: how the pixels are encoded.
        chosen: it is taken for the short-axis cine.
        reason: why it is, or is not.
        problems: what is wrong with it, each with what is done about it.
    """

    series_number: int | None
    series_instance_uids: tuple[str, ...]
    description: str
    kind: str
    slices: int
    phases: int
    columns: int
    rows: int
    spacing_mm: tuple[float, float, float] | None
    transfer_syntax: str
    chosen: bool
    reason: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListedStudy:
    """A study and what it holds.

    Attributes:
        study_instance_uid: of the study.
        files: its files.
        series: what it holds.
        problem: why it has no cine that can be read, empty where it has one.
    """

    study_instance_uid: str
    files: tuple[str, ...]
    series: tuple[ListedSeries, ...]
    problem: str = ""


def find_cines(source: Source, series: str | int = "") -> tuple[ListedStudy, ...]:
    """Return what the DICOM files of a folder hold, study by study.

    Args:
        source: a folder, which is searched to the bottom, a file, or a list of files.
        series: Series Instance UID or Series Number that overrules the choice; empty for the choice.

    Returns:
        The studies in the order of their first files.

    Raises:
        InputError: there is no DICOM image.
    """
    where = describe(source)
    headers = read_headers(source_files(source), progress=True)
    studies = split_studies(headers.frames)
    if not studies:
        raise no_images(headers, where)
    bad = tuple(f"{file.path} is left out: {file.reason}" for file in headers.bad)
    return tuple(_list_study(study, str(series), where, bad) for study in studies)


def _list_study(study: Study, series: str, where: str, bad: tuple[str, ...]) -> ListedStudy:
    found = candidates(study.frames)
    choice, stack, problem = _try_to_read(found, series, where)
    listed = tuple(_list_series(candidate, choice, stack, problem, bad) for candidate in found)
    return ListedStudy(study.uid, study.files, listed, problem)


def _try_to_read(found: Sequence[Candidate], series: str, where: str) -> tuple[Choice | None, CineStack | None, str]:
    choice = None
    try:
        choice = choose(found, series, where)
        others = [candidate.group for candidate in found if candidate is not choice.candidate]
        return choice, build_stack(choice.candidate.group, others, where, choice.reason), ""
    except InputError as error:
        return choice, None, str(error)


def _list_series(
    candidate: Candidate, choice: Choice | None, stack: CineStack | None, problem: str, bad: tuple[str, ...]
) -> ListedSeries:
    group, first = candidate.group, candidate.group.first
    chosen = choice is not None and choice.candidate is candidate
    reason = choice.reason if choice is not None and chosen else candidate.kind.reason
    problems: tuple[str, ...] = ()
    if chosen and stack is not None and choice is not None:
        repairs = (*choice.repairs, *stack.repairs)
        problems = (*bad, *(f"{repair.problem}: {repair.resolution}" for repair in repairs))
    elif chosen:
        problems = (*bad, problem)
    return ListedSeries(
        series_number=first.header.series_number,
        series_instance_uids=group.series,
        description=candidate.description,
        kind=candidate.kind.name,
        slices=len(group.slices),
        phases=group.phases,
        columns=first.columns,
        rows=first.rows,
        spacing_mm=_spacing_mm(candidate),
        transfer_syntax=syntax_name(first.header.transfer_syntax_uid),
        chosen=chosen,
        reason=reason,
        problems=problems,
    )


def _spacing_mm(candidate: Candidate) -> tuple[float, float, float] | None:
    group = candidate.group
    if group.problem or group.first.pixel_spacing is None or group.first.position is None:
        return None
    rows, columns = group.first.pixel_spacing
    heights = [float(np.asarray(frames[0].position) @ group.normal) for frames in group.slices]
    if len(heights) == 1:
        return columns, rows, group.first.slice_spacing or 0.0
    return columns, rows, (heights[-1] - heights[0]) / (len(heights) - 1)


def format_cines(studies: Sequence[ListedStudy]) -> str:
    """Return the table of what was found, and below it what is wrong; nothing of it names a patient."""
    rows = [(_row(index, series), series) for index, study in enumerate(studies, start=1) for series in study.series]
    table = [_COLUMNS, *(row for row, _ in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    for index, study in enumerate(studies, start=1):
        lines += _notes(index, study)
    # names of files may hold anything too
    return "\n".join(printable(line, _LONGEST_LINE) for line in lines)


def _row(index: int, series: ListedSeries) -> tuple[str, ...]:
    spacing = " x ".join(f"{mm:.2f}" for mm in series.spacing_mm) if series.spacing_mm else "?"
    return (
        str(index),
        "?" if series.series_number is None else str(series.series_number),
        series.description or "-",
        series.kind,
        f"{series.slices} x {series.phases}",
        f"{series.columns} x {series.rows}",
        spacing,
        series.transfer_syntax,
        "yes" if series.chosen else f"no: {series.reason}",
    )


def _notes(index: int, study: ListedStudy) -> list[str]:
    lines = []
    for series in study.series:
        if series.chosen:
            lines += ["", f"study {index}: series {series.series_number}: {series.reason}"]
            lines += [f"  problem: {problem}" for problem in series.problems]
    if not lines:
        lines = ["", f"study {index}: {study.problem}"]
    return lines

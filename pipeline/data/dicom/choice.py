"""Picks the short-axis cine of a study, and says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.data.dicom.cine import Repair
from pipeline.data.dicom.frame import Frame
from pipeline.data.dicom.kinds import Kind, classify
from pipeline.data.dicom.series import Group, group_images, merge_single_slices
from pipeline.data.dicom.values import printable
from pipeline.errors import InputError

_SERIES_SHOWN = 20


@dataclass(frozen=True, eq=False)
class Candidate:
    """A group of a study's images, and what they are.

    Attributes:
        group: the images.
        kind: what they are.
    """

    group: Group
    kind: Kind

    @property
    def label(self) -> str:
        """Its series number and description, printable."""
        header = self.group.first.header
        return f"series {header.series_number if header.series_number is not None else '?'} '{self.description}'"

    @property
    def description(self) -> str:
        """The series description, without characters that could steer a terminal, cut to a line."""
        return printable(self.group.first.header.series_description)


@dataclass(frozen=True, eq=False)
class Choice:
    """What was chosen of a study.

    Attributes:
        candidate: the chosen group.
        reason: why.
        repairs: doubts about the choice.
    """

    candidate: Candidate
    reason: str
    repairs: tuple[Repair, ...] = ()


def candidates(frames: Sequence[Frame]) -> list[Candidate]:
    """Return the groups of a study with their kinds, cines of one slice each made one.

    Args:
        frames: images of one study.
    """
    groups = group_images(frames)
    merged = merge_single_slices(groups, [_mergeable(classify(group)) for group in groups])
    return [Candidate(group, classify(group)) for group in merged]


def _mergeable(kind: Kind) -> bool:
    return kind.cine and kind.name != "cine of another view"


def choose(found: Sequence[Candidate], series: str, where: str) -> Choice:
    """Return the short-axis cine of a study.

    Args:
        found: the groups of the study.
        series: Series Instance UID or Series Number that overrules the choice; empty for the choice.
        where: the study's folder, for messages.

    Raises:
        InputError: there is none, or none of that UID or number.
    """
    if series:
        return _by_name(found, series, where)
    stacks = [candidate for candidate in found if candidate.kind.short_axis]
    if not stacks:
        raise InputError(
            f"{where} holds no short-axis cine: {_listing(found)}. If one of these is it all the same, give its series "
            "number as --series."
        )
    best = max(stacks, key=_rank)
    return Choice(best, _reason(best, stacks), _doubts(best))


def _by_name(found: Sequence[Candidate], series: str, where: str) -> Choice:
    matching = [candidate for candidate in found if series in _names(candidate)]
    if not matching:
        raise InputError(f"series must be a series number or UID of {where}, got '{series}'; it has {_listing(found)}.")
    best = max(matching, key=lambda candidate: (not candidate.group.problem, len(candidate.group.frames)))
    if best.kind.name == "no grid":
        raise InputError(f"{best.label} of {where} cannot be read: {best.kind.reason}. Export the study again.")
    if best.group.first.header.modality != "MR" or best.group.first.samples != 1:
        raise InputError(f"{best.label} of {where} must be MR images, got {best.kind.name}: {best.group.first.path}.")
    return Choice(best, f"chosen by its series ({best.kind.name}: {best.kind.reason})")


def _names(candidate: Candidate) -> set[str]:
    headers = [frame.header for frame in candidate.group.frames]
    return {header.series_uid for header in headers} | {str(header.series_number) for header in headers}


def _rank(candidate: Candidate) -> tuple[object, ...]:
    # of equal stacks the last: it was repeated because the one before was not good
    newest = max(frame.acquisition_time or 0.0 for frame in candidate.group.frames)
    return (*candidate.kind.rank, newest, candidate.group.first.header.series_number or 0)


def _reason(best: Candidate, stacks: Sequence[Candidate]) -> str:
    if len(stacks) == 1:
        return f"the only short-axis cine: {best.kind.reason}"
    return f"the best of {len(stacks)} short-axis cines: {best.kind.reason}"


def _doubts(best: Candidate) -> tuple[Repair, ...]:
    if best.kind.name == "short-axis cine":
        return ()
    problem = f"the slices do not lie like a short axis: {best.kind.reason}"
    return (Repair(problem, "taken for the short axis, as the study has no better stack of cine slices"),)


def _listing(found: Sequence[Candidate]) -> str:
    shown = [f"{candidate.label} ({candidate.kind.name}: {candidate.kind.reason})" for candidate in found]
    more = f", and {len(shown) - _SERIES_SHOWN} more" if len(shown) > _SERIES_SHOWN else ""
    return ", ".join(shown[:_SERIES_SHOWN]) + more

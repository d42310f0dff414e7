"""Tells what kind of images a group holds: from their times, their types, and the names that the scanner gave."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from pipeline.data.dicom.rules import MIN_CINE_PHASES
from pipeline.data.dicom.series import Group
from pipeline.data.dicom.values import printable

USUAL_NORMAL = np.array([0.65, -0.62, -0.43]) / np.linalg.norm([0.65, -0.62, -0.43])
"""Long axis of the left ventricle from base to apex (LPS: left, forward, down), normal of usual short-axis slices."""

MAX_TILT_DEG = 35.0
"""Short axes lie within this of ``USUAL_NORMAL``; axial, coronal and sagittal slices and long axes do not."""

MIN_STACK_SLICES = 3
"""Fewer parallel slices are no short-axis stack."""

MAX_BEAT_S = 10.0
"""A slice whose images were acquired over a longer time is a series of beats: perfusion, mapping."""


def _words(*patterns: str) -> re.Pattern[str]:
    # words end at a blank, digit or underscore too: "sax_10", "cine_sa"
    return re.compile(rf"(?<![a-z])(?:{'|'.join(patterns)})(?![a-z])")


_SHORT_AXIS = _words(
    r"sax\w*", "sa", "ksa", "short[ _-]*ax\\w*", "kurz\\w*", "petit[ _-]*axe", "eje[ _-]*corto", "shax"
)
_OTHER_VIEW = _words(
    r"[234][ _-]*(?:ch\w*|kammer\w*|k|cv|c)", r"lax\w*", r"long[ _-]*ax\w*", "la", r"vla", r"hla", r"lvot", r"rvot",
    r"ax(?:ial)?", r"tra(?:ns\w*)?", r"cor(?:onal)?", r"sag(?:ittal)?", r"aort\w*", r"ao", r"lange?[ _-]*achse",
)  # fmt: skip
_KINDS = {
    "scout": _words(r"scout\w*", r"locali[sz]er\w*", r"loc", r"survey\w*", r"plan\w*", r"haste", r"3[ _-]*plane"),
    "late enhancement": _words(r"lge", r"psir\w*", r"delayed\w*", r"late", r"mde", r"viab\w*", r"ir\w*"),
    "flow": _words(r"flow\w*", r"pc", r"phase[ _-]*contrast", r"venc\w*", r"fluss\w*", r"qflow\w*"),
    "tagging": _words(r"tag\w*", r"spamm", r"cspamm", r"grid\w*"),
    "perfusion": _words(r"perf\w*", r"first[ _-]*pass"),
    "mapping": _words(r"t[12]\w*map\w*", r"molli\w*", r"shmolli\w*", r"sasha", r"t2star", r"t2\*", r"map\w*"),
}


@dataclass(frozen=True)
class Kind:
    """What a group is.

    Attributes:
        name: such as ``"short-axis cine"``, ``"flow"``, ``"scout"``.
        reason: what tells.
        cine: it shows a heart beat.
        short_axis: it could be the short-axis stack.
        rank: the larger, the better a short-axis stack.
    """

    name: str
    reason: str
    cine: bool = False
    short_axis: bool = False
    rank: tuple[float, ...] = ()


def classify(group: Group) -> Kind:
    """Return what kind of images a group holds.

    Args:
        group: parallel images of one size.
    """
    first = group.first
    if first.header.modality != "MR":
        return Kind(printable(first.header.modality, 16) or "no modality", "not an MR image")
    if first.samples != 1:
        return Kind("color picture", "several values a pixel")
    if group.problem:
        return Kind("no grid", group.problem)
    named = next((kind for kind, words in _KINDS.items() if words.search(first.header.names)), "")
    kind = _still(group, named) if group.phases < MIN_CINE_PHASES else _moving(group, named)
    return kind or _cine(group)


def _still(group: Group, named: str) -> Kind:
    size = f"{len(group.slices)} slices of {group.phases}"
    if named:
        return Kind(named, f"its name, and {size} phases")
    if group.first.inversion_time:
        return Kind("late enhancement", f"an inversion time, and {size} phases")
    if len(group.slices) < MIN_STACK_SLICES:
        return Kind("scout", f"{size} phases")
    return Kind("stills", f"{size} phases: no cine")


def _moving(group: Group, named: str) -> Kind | None:
    """Return the kind of a group of many images a slice that is no cine, None where it is one."""
    if group.first.velocity:
        return Kind("flow", "its images show velocities")
    if named not in ("", "scout"):
        return Kind(named, "its name")
    frames = group.slices[len(group.slices) // 2]
    if len({frame.echo_time for frame in frames}) > 2 or len({frame.inversion_time for frame in frames}) > 2:
        return Kind("mapping", "echo or inversion times differ within a slice")
    if _lasts_beats(group):
        return Kind("perfusion", f"the images of a slice were acquired over more than {MAX_BEAT_S:g} s")
    return None


def _lasts_beats(group: Group) -> bool:
    """Tell whether a slice shows many beats: acquired over a long time, without times after the R wave."""
    frames = group.slices[len(group.slices) // 2]
    times = [frame.acquisition_time for frame in frames if frame.acquisition_time is not None]
    if len({frame.acquisition_time for frame in frames}) <= len(frames) // 2 or not times:
        return False
    triggers = {frame.trigger_time if frame.trigger_time is not None else frame.trigger_delay for frame in frames}
    return max(times) - min(times) > MAX_BEAT_S and len(triggers) <= len(frames) // 2


def _cine(group: Group) -> Kind:
    names = group.first.header.names
    slices, tilt = len(group.slices), tilt_deg(group)
    is_named, is_other = bool(_SHORT_AXIS.search(names)), bool(_OTHER_VIEW.search(names))
    usual = tilt <= MAX_TILT_DEG
    size = f"{slices} parallel slices of {group.phases} phases"
    view = f"{tilt:.0f}° from the usual short axis"
    if is_other and not is_named:
        return Kind("cine of another view", f"its name; {size}", cine=True)
    if slices < MIN_STACK_SLICES:
        return Kind("cine of a slice" if slices == 1 else "cine of few slices", size, cine=True)
    rank = (float(is_named or usual), float(slices >= 5), float(is_named) + float(usual), slices, group.phases)
    if is_named:
        return Kind("short-axis cine", f"its name, {size}, {view}", cine=True, short_axis=True, rank=rank)
    if usual:
        return Kind("short-axis cine", f"{size}, {view}", cine=True, short_axis=True, rank=rank)
    return Kind("cine stack", f"{size}, {view}", cine=True, short_axis=True, rank=rank)


def tilt_deg(group: Group) -> float:
    """Return the angle between the slices' normal and that of usual short-axis slices, 0° to 90°."""
    cosine = abs(float(group.normal @ USUAL_NORMAL))
    return float(np.degrees(np.arccos(min(cosine, 1.0))))

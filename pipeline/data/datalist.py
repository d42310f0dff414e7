"""One way into every supported data set: find out its layout and hand it to the adapter."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.data import acdc, decathlon, folder, mnms, sunnybrook
from pipeline.data.layout import describe_contents, folders_below, require_directory
from pipeline.data.problem import Item, Scan
from pipeline.errors import InputError


@dataclass(frozen=True)
class Format:
    """A layout on disk: what it looks like in words, how to tell it, how to read it."""

    layout: str
    looks_like: Callable[[Path], bool]
    scan: Callable[[Path], Scan]


FORMATS: dict[str, Format] = {
    "acdc": Format(acdc.LAYOUT, acdc.looks_like_acdc, acdc.scan_acdc),
    "mnms": Format(mnms.LAYOUT, mnms.looks_like_mnms, mnms.scan_mnms),
    "decathlon": Format(decathlon.LAYOUT, decathlon.looks_like_decathlon, decathlon.scan_decathlon),
    "sunnybrook": Format(sunnybrook.LAYOUT, sunnybrook.looks_like_sunnybrook, sunnybrook.scan_sunnybrook),
    "folder": Format(folder.LAYOUT, folder.looks_like_folder, folder.scan_folder),
}

AUTO = "auto"

_ANY_LAYOUT = "a data set in one of the supported layouts:\n" + "\n".join(
    f"  {name}: {form.layout}" for name, form in FORMATS.items()
)


def load_datalist(dataset_dir: str | os.PathLike[str], data_format: str = AUTO) -> list[Item]:
    """Return the cases of a data set.

    Args:
        dataset_dir: folder of the data set.
        data_format: a name in ``FORMATS``, or ``"auto"`` to find out.

    Returns:
        A MONAI datalist, sorted by ``case_id``.

    Raises:
        InputError: the folder fits no layout or several, the format is unknown, or cases are broken (all are named).
    """
    return scan_dataset(dataset_dir, data_format).datalist(Path(dataset_dir))


def scan_dataset(dataset_dir: str | os.PathLike[str], data_format: str = AUTO) -> Scan:
    """Return the whole cases of a data set and the problems of all others.

    Raises:
        InputError: the folder fits no layout or several, or the format is unknown.
    """
    name = resolve_format(dataset_dir, data_format)
    return FORMATS[name].scan(Path(dataset_dir).expanduser())


def resolve_format(dataset_dir: str | os.PathLike[str], data_format: str = AUTO) -> str:
    """Return the data format: the given one, or the one that the folder looks like where it is ``"auto"``.

    Raises:
        InputError: the format is unknown, or the folder fits no layout or several.
    """
    if data_format == AUTO:
        return detect_format(dataset_dir)
    if data_format not in FORMATS:
        raise InputError(f"data_format must be '{AUTO}' or one of {sorted(FORMATS)}, got '{data_format}'.")
    return data_format


def detect_format(dataset_dir: str | os.PathLike[str]) -> str:
    """Return the name of the layout that a folder has, a key of ``FORMATS``.

    Raises:
        InputError: there is no such folder, or it fits no layout or several.
    """
    root = require_directory(dataset_dir, _ANY_LAYOUT)
    fitting = _fitting(root)
    if len(fitting) > 1:
        names = " and ".join(fitting)
        raise InputError(f"dataset_dir '{root}' fits several layouts: {names}. Say which one by data_format.")
    if not fitting:
        raise InputError(
            f"dataset_dir '{root}' holds {describe_contents(root)}. {_where_to_point(root)}Expected {_ANY_LAYOUT}"
        )
    return fitting[0]


def _fitting(root: Path) -> list[str]:
    return [name for name, form in FORMATS.items() if form.looks_like(root)]


def _where_to_point(root: Path) -> str:
    found = [(path, _fitting(path)) for path in (root.resolve().parent, *folders_below(root))]
    fits = [f"'{path}' ({names[0]})" for path, names in found if names]
    return f"A data set lies in {', '.join(fits)}: give that folder. " if fits else ""

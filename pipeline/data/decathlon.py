"""A Medical Segmentation Decathlon ``dataset.json`` as a datalist.

Source: http://medicaldecathlon.com
"""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from pipeline.data.layout import (
    IMAGE_SUFFIXES,
    describe_contents,
    image_stem,
    image_suffix,
    patient_of,
    phase_of,
    require_directory,
    safe_name,
)
from pipeline.data.problem import Item, Problem, Scan, sorted_scan
from pipeline.errors import InputError

LAYOUT = 'dataset.json with "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}] (Decathlon)'

_JSON = "dataset.json"


def decathlon_datalist(dataset_dir: str | os.PathLike[str], section: str = "training") -> list[Item]:
    """Return the cases of one section of a ``dataset.json``.

    Args:
        dataset_dir: the folder that holds ``dataset.json``; the paths in it are relative to it.
        section: ``"training"`` (every image with a label), or ``"test"`` (images alone).

    Returns:
        A MONAI datalist sorted by ``case_id``, the image's file name. An entry may carry ``patient_id``, ``phase`` and
        ``group`` of its own; else patient and phase are read from the file name (see ``layout.patient_of``).

    Raises:
        InputError: there is no such folder or section, the JSON is broken, a path leaves the folder, a file is missing,
            or an image or a label lacks its partner.
    """
    return scan_decathlon(dataset_dir, section).datalist(Path(dataset_dir))


def looks_like_decathlon(folder: Path) -> bool:
    """Tell whether a folder holds a ``dataset.json``."""
    return (folder / _JSON).is_file()


def scan_decathlon(dataset_dir: str | os.PathLike[str], section: str = "training") -> Scan:
    """Return the whole cases of one section of a ``dataset.json`` and the problems of all others.

    Raises:
        InputError: there is no such folder or section, or the JSON is broken.
    """
    root = require_directory(dataset_dir, LAYOUT)
    if not looks_like_decathlon(root):
        raise InputError(f"dataset_dir '{root}' holds {describe_contents(root)}; expected {LAYOUT}.")
    scan = Scan()
    for number, entry in enumerate(_entries(root / _JSON, section)):
        scan.extend(_scan_entry(root, entry, f"{section}[{number}]", with_label=section != "test"))
    return sorted_scan(scan)


def _entries(path: Path, section: str) -> list[Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON: {error}. Correct it; expected {LAYOUT}.") from error
    entries = content.get(section) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        keys = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{path} must have a non-empty list '{section}', it has: {keys}. Expected {LAYOUT}.")
    return entries


def _scan_entry(root: Path, entry: Any, where: str, with_label: bool) -> Scan:
    fields = entry if isinstance(entry, dict) else {"image": entry}
    scan = Scan()
    paths: dict[str, str] = {}
    for key in ("image", "label") if with_label else ("image",):
        path = _path_problem(root, fields, key, where)
        if isinstance(path, Problem):
            scan.problems.append(path)
        else:
            paths[key] = str(path)
    if not scan.problems:
        scan.items.append(_item(paths, fields))
    return scan


def _path_problem(root: Path, fields: dict[str, Any], key: str, where: str) -> Path | Problem:
    """Return the path of an entry's image or label, or what is wrong with it."""
    text = fields.get(key)
    other = fields.get("image" if key == "label" else "label")
    if text is None:
        message = f"{where} has no '{key}'" + (f" for {other}" if other else "")
        return Problem(where, str(root / _JSON), "error", message, f"Add its '{key}', or remove the entry.")
    if not isinstance(text, str):
        message = f"'{key}' must be one path, got {text!r}"
        return Problem(where, str(root / _JSON), "error", message, "Correct the entry.")
    relative = PurePosixPath(text.replace("\\", "/"))
    if relative.is_absolute() or PureWindowsPath(text).drive or Path(os.path.normpath(relative)).parts[:1] == ("..",):
        way_out = f"Use a path relative to {_JSON}, inside its folder."
        return Problem(where, str(root / _JSON), "error", f"'{key}' leaves the data set's folder: {text}", way_out)
    path = root / relative
    if not path.is_file():
        return Problem(where, str(path), "error", f"the {key} is listed in {_JSON}, but not there", "Restore the file.")
    if not image_suffix(path):
        message = f"the {key} must be one of {', '.join(IMAGE_SUFFIXES)}, got '{path.name}'"
        return Problem(where, str(path), "error", message, "Convert it.")
    return path


def _item(paths: dict[str, str], fields: dict[str, Any]) -> Item:
    stem = image_stem(Path(paths["image"]))
    return {
        **paths,
        "patient_id": str(fields.get("patient_id") or patient_of(stem)),
        "case_id": safe_name(stem),
        "phase": str(fields.get("phase") or phase_of(stem)).lower(),
        "group": str(fields.get("group") or ""),
    }

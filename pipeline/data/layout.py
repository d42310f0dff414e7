"""Folders and file names: what lies in a folder, and what a name says about patient and phase."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

from pipeline.errors import InputError

NIFTI_SUFFIXES = (".nii.gz", ".nii")
ITK_SUFFIXES = (".nrrd", ".mha")
"""NRRD and MetaImage, each in one file."""
VOLUME_SUFFIXES = (*NIFTI_SUFFIXES, *ITK_SUFFIXES)
IMAGE_SUFFIXES = (*VOLUME_SUFFIXES, ".png")

_NAMES_SHOWN = 8
_ENTRIES_SEARCHED = 2000
_CASE_PART = re.compile(r"_(?:frame|ed|es|slice|z)(?![a-z])", re.IGNORECASE)
_PHASE = re.compile(r"_(ed|es)(?![a-z])", re.IGNORECASE)


def require_directory(dataset_dir: str | os.PathLike[str], layout: str) -> Path:
    """Return the folder as a path.

    Args:
        dataset_dir: folder to look into; ``~`` is the home folder.
        layout: the layout that is expected there, for the message.

    Raises:
        InputError: there is no such folder, it is empty, or it cannot be read.
    """
    path = Path(dataset_dir).expanduser()
    if not path.exists():
        raise InputError(f"dataset_dir '{path}' does not exist. Give a folder that holds {layout}.")
    if not path.is_dir():
        raise InputError(f"dataset_dir '{path}' is a file. Give the folder that holds {layout}.")
    try:
        entries = visible(path)
    except OSError as error:
        raise InputError(f"dataset_dir '{path}' cannot be read: {error}. Mend its permissions.") from error
    if not entries:
        raise InputError(f"dataset_dir '{path}' is empty. Give a folder that holds {layout}.")
    return path


def folders_below(root: Path) -> list[Path]:
    """Return the readable folders one and two levels below a folder, among the first 2000 entries.

    They serve a hint in a message, so a home folder by mistake must not keep the reader waiting.
    """
    folders = []
    for path in itertools.islice(itertools.chain(root.glob("*"), root.glob("*/*")), _ENTRIES_SEARCHED):
        if path.is_dir() and os.access(path, os.R_OK | os.X_OK) and not path.name.startswith("."):
            folders.append(path)
    return sorted(folders, key=lambda path: (len(path.parts), path))


def visible(folder: Path) -> list[Path]:
    """Return the entries of a folder in sorted order, without hidden ones (``.DS_Store``, ``._copy.nii.gz``)."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def describe_contents(folder: Path) -> str:
    """Return the first names in a folder as a text such as ``"testing/, training/, readme.txt"``."""
    entries = sorted(visible(folder), key=lambda entry: (not entry.is_dir(), entry.name))
    names = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries]
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return (", ".join(names[:_NAMES_SHOWN]) + more) or "nothing"


def image_suffix(path: Path) -> str:
    """Return which of ``IMAGE_SUFFIXES`` a file has, such as ``".nii.gz"``, or ``""`` for one of another kind."""
    return next((suffix for suffix in IMAGE_SUFFIXES if path.name.lower().endswith(suffix)), "")


def image_stem(path: Path) -> str:
    """Return the file name without its image suffix: ``a.b.nii.gz`` gives ``a.b``."""
    return path.name[: len(path.name) - len(image_suffix(path))]


def patient_of(stem: str) -> str:
    """Return the patient that a file name belongs to.

    It is the part before ``_frame``, ``_ed``, ``_es``, ``_slice`` or ``_z`` (upper or lower case, not followed by
    another letter), so that ``patient001_frame01`` and ``patient001_ES_z04`` are both of ``patient001``; else the whole
    stem.
    """
    found = _CASE_PART.search(stem, 1)
    return stem[: found.start()] if found else stem


def phase_of(stem: str) -> str:
    """Return ``"ed"`` or ``"es"`` where the file name carries ``_ed`` or ``_es``, else ``""``."""
    found = _PHASE.search(stem, 1)
    return found.group(1).lower() if found else ""


def safe_name(text: str) -> str:
    """Return the text with all that is not a letter, digit, ``_``, ``.`` or ``-`` replaced by ``_``."""
    return re.sub(r"[^\w.-]+", "_", text)


def optional_number(text: object) -> float | None:
    """Return a positive number, or None where the text is missing or says something else (``"N/A"``)."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None


def body_size(height_cm: object, weight_kg: object) -> dict[str, float]:
    """Return the keys ``height_cm`` and ``weight_kg`` of a case, each only where it is known."""
    sizes = {"height_cm": optional_number(height_cm), "weight_kg": optional_number(weight_kg)}
    return {key: value for key, value in sizes.items() if value is not None}

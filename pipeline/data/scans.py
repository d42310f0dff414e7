"""Finds the scans to segment: a NIfTI file, or all of a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pipeline.data.layout import NIFTI_SUFFIXES, image_stem
from pipeline.errors import InputError

LABEL_ENDINGS = ("_gt", "_seg")
"""Files whose name ends so hold labels, not scans; ``_mask`` counts only beside the scan that it names."""


def find_scans(dataset_dir: str | Path, skip_dir: str | Path | None = None) -> list[dict[str, str]]:
    """Return the datalist of the scans in a folder and all folders below it, or of one file.

    Hidden files and folders and label files (``LABEL_ENDINGS``) are left out. Linked folders are followed, each once.

    Args:
        dataset_dir: a NIfTI file (taken whatever its name), or a folder.
        skip_dir: a folder below ``dataset_dir`` that is left out: where earlier masks lie under the scans' own names.

    Returns:
        Items ``{"image": path, "case_id": relative path without suffix}``, sorted by path. ``case_id`` separates
        folders by ``/`` and is unique: ``a.nii`` and ``a.nii.gz`` of one folder keep their suffix in it.

    Raises:
        InputError: there is nothing at ``dataset_dir``, it is a file of another kind, or the folder holds no scan.
    """
    root = Path(dataset_dir).expanduser()
    if root.is_file():
        if not _suffix(root):
            raise InputError(f"dataset_dir must be a folder or a NIfTI file (.nii, .nii.gz), got the file {root}.")
        return [{"image": str(root), "case_id": image_stem(root)}]
    if not root.is_dir():
        raise InputError(f"dataset_dir does not exist: {root}. Give a NIfTI file, or a folder that holds some.")
    files = sorted(_files(root, None if skip_dir is None else Path(skip_dir).resolve()))
    names = set(files)
    scans = [path for path in files if _suffix(path) and not _is_label(path, names)]
    if not scans:
        raise InputError(f"dataset_dir {root} holds no scan: {_summary(files)}. Scans are NIfTI files (.nii, .nii.gz).")
    return [
        {"image": str(path), "case_id": case_id} for path, case_id in zip(scans, _case_ids(root, scans), strict=True)
    ]


def _files(root: Path, skip_dir: Path | None) -> Iterator[Path]:
    # os.walk, since Path.rglob follows linked folders in some versions of Python only
    seen: set[Path] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        here = Path(folder).resolve()
        if here in seen or (here == skip_dir and here != root.resolve()):
            subfolders.clear()
            continue
        seen.add(here)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def _suffix(path: Path) -> str:
    return next((suffix for suffix in NIFTI_SUFFIXES if path.name.lower().endswith(suffix)), "")


def _is_label(path: Path, files: set[Path]) -> bool:
    stem = image_stem(path)
    if stem.endswith(LABEL_ENDINGS):
        return True
    scan = stem.removesuffix("_mask")
    return scan != stem and any(path.with_name(scan + suffix) in files for suffix in NIFTI_SUFFIXES)


def _case_ids(root: Path, scans: list[Path]) -> list[str]:
    names = [path.relative_to(root) for path in scans]
    stems = [name.with_name(image_stem(name)).as_posix() for name in names]
    times = Counter(stems)
    return [stem if times[stem] == 1 else name.as_posix() for stem, name in zip(stems, names, strict=True)]


def _summary(files: list[Path]) -> str:
    if not files:
        return "it is empty"
    labels = [path for path in files if _suffix(path)]
    if labels:
        return f"its {len(labels)} NIfTI files are labels by their names, such as {labels[0].name}"
    kinds = Counter(path.suffix.lower() or "no suffix" for path in files)
    found = ", ".join(f"{number} of {kind}" for kind, number in kinds.most_common(5))
    return f"it holds {len(files)} files ({found})"

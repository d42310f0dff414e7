"""Finds the scans to segment: NIfTI files and DICOM studies, one or all of a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.data.layout import NIFTI_SUFFIXES, image_stem
from pipeline.data.walk import walk_files
from pipeline.errors import InputError

LABEL_ENDINGS = ("_gt", "_seg")
"""Files whose name ends so hold labels, not scans; ``_mask`` counts only beside the scan that it names."""

Item = dict[str, Any]


def find_scans(dataset_dir: str | Path, skip_dir: str | Path | None = None, series: str | int = "") -> list[Item]:
    """Return the datalist of the scans in a folder and all folders below it, or of one file.

    Hidden files and folders and label files (``LABEL_ENDINGS``) are left out. Linked folders are followed, each once.
    Of DICOM files, whatever their names, each study of magnetic resonance is one scan.

    Args:
        dataset_dir: a NIfTI file (taken whatever its name), a multi-frame DICOM file, or a folder.
        skip_dir: a folder below ``dataset_dir`` that is left out: where earlier masks lie under the scans' own names.
        series: Series Instance UID or Series Number of the cine in each DICOM study; empty to choose it.

    Returns:
        Items ``{"image": path, "case_id": relative path without suffix}``, sorted by path. ``case_id`` separates
        folders by ``/`` and is unique: ``a.nii`` and ``a.nii.gz`` of one folder keep their suffix in it. Of a DICOM
        study ``image`` is its folder, or the list of its files where the folder holds other studies too; ``case_id`` is
        the folder's name, never a name or number in the files; and where ``series`` is given, it is in the item.

    Raises:
        InputError: there is nothing at ``dataset_dir``, it is a file of another kind, or the folder holds no scan.
    """
    root = Path(dataset_dir).expanduser()
    if root.is_file():
        return [_file_item(root, str(series))]
    if not root.is_dir():
        raise InputError(f"dataset_dir does not exist: {root}. Give a NIfTI file, or a folder that holds scans.")
    files = sorted(walk_files(root, None if skip_dir is None else Path(skip_dir)))
    names = set(files)
    scans = [path for path in files if _suffix(path) and not _is_label(path, names)]
    items = [
        {"image": str(path), "case_id": case_id} for path, case_id in zip(scans, _case_ids(root, scans), strict=True)
    ]
    taken = {item["case_id"] for item in items}
    items += _dicom_items(root, [path for path in files if not _suffix(path)], taken, str(series))
    if not items:
        raise InputError(
            f"dataset_dir {root} holds no scan: {_summary(files)}. Scans are NIfTI files (.nii, .nii.gz) and DICOM "
            "studies of cardiac MR."
        )
    return sorted(items, key=lambda item: Path(_first_path(item)))


def _file_item(path: Path, series: str) -> Item:
    if _suffix(path):
        return {"image": str(path), "case_id": image_stem(path)}
    from pipeline.data.dicom.headers import read_headers

    if not read_headers([path]).frames:
        raise InputError(f"dataset_dir must be a folder, a NIfTI file (.nii, .nii.gz) or DICOM, got the file {path}.")
    return _with_series({"image": str(path), "case_id": path.stem}, series)


def _dicom_items(root: Path, files: Sequence[Path], taken: set[str], series: str) -> list[Item]:
    # a folder of NIfTI files alone must not wait for pydicom
    if not files:
        return []
    from pipeline.data.dicom.headers import read_headers
    from pipeline.data.dicom.study import no_mr, split_studies

    headers = read_headers(files, progress=True)
    every = split_studies(headers.frames)
    files_of = {study.uid: study.files for study in every}
    studies = [files_of[study.uid] for study in every if study.has_mr]
    if not (studies or taken) and (headers.frames or headers.bad):
        raise no_mr(headers, f"dataset_dir {root}")
    folders = [_common_folder(paths) for paths in studies]
    every_files = list(files_of.values())
    images = [_image(folder, own, every_files) for folder, own in zip(folders, studies, strict=True)]
    return [
        _with_series({"image": image, "case_id": case_id}, series)
        for image, case_id in zip(images, _study_ids(root, folders, taken), strict=True)
    ]


def _with_series(item: Item, series: str) -> Item:
    return item | {"series": series} if series else item


def _common_folder(paths: Iterable[str]) -> Path:
    return Path(os.path.commonpath({os.path.dirname(path) for path in paths}))


def _image(folder: Path, paths: Sequence[str], studies: Sequence[Sequence[str]]) -> str | list[str]:
    """Return the folder of a study, or its files where others lie there too."""
    others = {Path(os.path.dirname(path)) for study in studies if study is not paths for path in study}
    alone = all(folder != other and folder not in other.parents for other in others)
    return str(folder) if alone else list(paths)


def _study_ids(root: Path, folders: Sequence[Path], taken: set[str]) -> list[str]:
    """Return a name for each study: its folder's, with a number where several share it."""
    top = root.resolve().name or "study"
    names = [top if folder == root else folder.relative_to(root).as_posix() for folder in folders]
    times = Counter(names)
    ids: list[str] = []
    for index, name in enumerate(names):
        numbered = name if times[name] == 1 else f"{name}_study{names[:index].count(name) + 1}"
        while numbered in taken or numbered in ids:
            numbered += "_dicom"
        ids.append(numbered)
    return ids


def _first_path(item: Item) -> str:
    image = item["image"]
    return image if isinstance(image, str) else str(image[0])


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

"""Finds the scans to segment: NIfTI, NRRD and MetaImage files and DICOM studies, one or all of a folder."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.data.layout import VOLUME_SUFFIXES, image_stem
from pipeline.data.walk import walk_files
from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.data.dicom.frame import Frame
    from pipeline.data.dicom.headers import BadFile, Headers

LABEL_ENDINGS = ("_gt", "_seg", ".seg", "-label")
"""Files whose name ends so hold labels, not scans; ``_mask`` counts only beside the scan that it names."""

CASE_NAMES = ("path", "number")
"""How scans are named: after files and folders, which may be names of patients, or ``study_001`` and so on."""

KINDS = ", ".join(VOLUME_SUFFIXES)
"""Files that hold a scan each, for messages."""

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
"""A file that is named so and holds no image is told of; other files may lie around."""

Item = dict[str, Any]

logger = logging.getLogger(__name__)


class Scans(list[Item]):
    """A datalist, with what was found beside the scans.

    Attributes:
        left_out: ``{"what": "DICOM images of modality CT", "number": 12}``, a dictionary a reason.
    """

    left_out: tuple[dict[str, Any], ...] = ()


def find_scans(
    dataset_dir: str | Path,
    skip_dir: str | Path | None = None,
    series: str | int = "",
    case_names: str = "path",
) -> Scans:
    """Return the datalist of the scans in a folder and all folders below it, or of one file.

    Hidden files and folders and label files (``LABEL_ENDINGS``) are left out. Linked folders are followed, each once.
    Of DICOM files, whatever their names, each study of magnetic resonance is one scan; a warning counts the images of
    other studies and the files that cannot be read.

    Args:
        dataset_dir: a NIfTI, NRRD or MetaImage file (taken whatever its name), a multi-frame DICOM file, or a folder.
        skip_dir: a folder below ``dataset_dir`` that is left out: where earlier masks lie under the scans' own names.
        series: Series Instance UID or Series Number of the cine in each DICOM study; empty to choose it.
        case_names: ``path``, or ``number``: then ``case_id`` is ``study_001`` and so on, in the order of the paths, and
            what it would have been is the item's ``name``.

    Returns:
        Items ``{"image": path, "case_id": relative path without suffix}``, sorted by path. ``case_id`` separates
        folders by ``/`` and is unique: ``a.nii`` and ``a.nii.gz`` of one folder keep their suffix in it. Of a DICOM
        study ``image`` is its folder, or the list of its files where the folder holds other studies too; ``case_id`` is
        the folder's name, never a name or number in the files; and where ``series`` is given, it is in the item.

    Raises:
        InputError: there is nothing at ``dataset_dir``, it is a file of another kind, the folder holds no scan, or
            ``case_names`` is none of the allowed.
    """
    if case_names not in CASE_NAMES:
        raise InputError(f"case_names must be one of {', '.join(CASE_NAMES)}, got {case_names!r}.")
    root = Path(dataset_dir).expanduser()
    scans = _find(root, None if skip_dir is None else Path(skip_dir), str(series))
    return _numbered(scans) if case_names == "number" else scans


def _find(root: Path, skip_dir: Path | None, series: str) -> Scans:
    if root.is_file():
        return Scans([_file_item(root, series)])
    if not root.is_dir():
        raise InputError(f"dataset_dir does not exist: {root}. Give a file, or a folder that holds scans.")
    files = sorted(walk_files(root, skip_dir))
    names = set(files)
    paths = [path for path in files if _suffix(path) and not _is_label(path, names)]
    items = [
        {"image": str(path), "case_id": case_id} for path, case_id in zip(paths, _case_ids(root, paths), strict=True)
    ]
    taken = {item["case_id"] for item in items}
    dicom = _dicom_items(root, [path for path in files if not _suffix(path)], taken, series)
    items += dicom
    if not items:
        raise InputError(
            f"dataset_dir {root} holds no scan: {_summary(files)}. Scans are files ({KINDS}) and DICOM studies of "
            "cardiac MR."
        )
    scans = Scans(sorted(items, key=lambda item: Path(_first_path(item))))
    scans.left_out = dicom.left_out
    if scans.left_out:
        found = ", ".join(f"{entry['number']} {entry['what']}" for entry in scans.left_out)
        logger.warning("Left out: %s.", found)
    return scans


def _numbered(scans: Scans) -> Scans:
    digits = max(3, len(str(len(scans))))
    numbered = Scans(
        item | {"case_id": f"study_{number:0{digits}d}", "name": item["case_id"]}
        for number, item in enumerate(scans, start=1)
    )
    numbered.left_out = scans.left_out
    return numbered


def _file_item(path: Path, series: str) -> Item:
    if _suffix(path):
        return {"image": str(path), "case_id": image_stem(path)}
    from pipeline.data.dicom.headers import read_headers

    if not read_headers([path]).frames:
        raise InputError(f"dataset_dir must be a folder, a file ({KINDS}) or DICOM, got the file {path}.")
    return _with_series({"image": str(path), "case_id": path.stem}, series)


def _dicom_items(root: Path, files: Sequence[Path], taken: set[str], series: str) -> Scans:
    # a folder of such files alone must not wait for pydicom
    if not files:
        return Scans()
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
    scans = Scans(
        _with_series({"image": image, "case_id": case_id}, series)
        for image, case_id in zip(images, _study_ids(root, folders, taken), strict=True)
    )
    others = [frame for study in every if not study.has_mr for frame in study.frames]
    scans.left_out = tuple(_left_out(others, headers.bad, _without_image(files, headers)))
    return scans


def _left_out(others: Sequence[Frame], bad: Sequence[BadFile], without_image: int) -> Iterator[dict[str, Any]]:
    from pipeline.data.dicom.values import printable

    modalities = Counter(printable(frame.header.modality, 16) or "unknown" for frame in others)
    for modality, number in sorted(modalities.items()):
        yield {"what": f"DICOM images of modality {modality}", "number": number}
    for reason, number in sorted(Counter(file.reason for file in bad).items()):
        yield {"what": f"DICOM files that cannot be used ({reason})", "number": number}
    if without_image:
        yield {"what": f"files named {', '.join(DICOM_SUFFIXES)} without a DICOM image", "number": without_image}


def _without_image(files: Sequence[Path], headers: Headers) -> int:
    known = {frame.path for frame in headers.frames} | {file.path for file in headers.bad}
    return sum(path.suffix.lower() in DICOM_SUFFIXES and str(path) not in known for path in files)


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
    return next((suffix for suffix in VOLUME_SUFFIXES if path.name.lower().endswith(suffix)), "")


def _is_label(path: Path, files: set[Path]) -> bool:
    stem = image_stem(path)
    if stem.endswith(LABEL_ENDINGS):
        return True
    scan = stem.removesuffix("_mask")
    return scan != stem and any(path.with_name(scan + suffix) in files for suffix in VOLUME_SUFFIXES)


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
        return f"its {len(labels)} files are labels by their names, such as {labels[0].name}"
    kinds = Counter(path.suffix.lower() or "no suffix" for path in files)
    found = ", ".join(f"{number} of {kind}" for kind, number in kinds.most_common(5))
    return f"it holds {len(files)} files ({found})"

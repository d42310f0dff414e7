"""ACDC's own folder as a datalist.

Source: https://www.creatis.insa-lyon.fr/Challenge/acdc/databases.html
"""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np

from pipeline.data.layout import body_size, describe_contents, folders_below, require_directory, visible
from pipeline.data.problem import Item, Problem, Scan, sorted_scan
from pipeline.errors import InputError

LAYOUT = "patientNNN/ folders, each with Info.cfg, patientNNN_frameFF.nii.gz and patientNNN_frameFF_gt.nii.gz (ACDC)"

# In the training set as published, patient076 is patient074 once more: all voxels of ED and ES are equal, the labels
# are a second drawing (found by `python -m pipeline data check`).
SAME_SCAN = (("patient074", "patient076"),)

_PATIENT = re.compile(r"patient\d+")
_FRAME = re.compile(r"_frame(\d+)(_gt)?\.nii(?:\.gz)?")


def acdc_datalist(dataset_dir: str | os.PathLike[str]) -> list[Item]:
    """Return the ED and ES volumes of an ACDC folder.

    Args:
        dataset_dir: the folder that holds ``patient001``, ``patient002`` …; 4D files and others are ignored.

    Returns:
        A MONAI datalist, two cases a patient (``patient001_ed``, ``patient001_es``), sorted by ``case_id``. ``group``
        is the pathology (NOR, DCM, HCM, MINF, RV).

    Raises:
        InputError: there is no such folder, it holds no patients, an ``Info.cfg`` is missing or wrong, or an image or a
            label lacks its partner.
    """
    return scan_acdc(dataset_dir).datalist(Path(dataset_dir))


def looks_like_acdc(folder: Path) -> bool:
    """Tell whether a folder holds patients in ACDC's layout."""
    return bool(_patients(folder))


def scan_acdc(dataset_dir: str | os.PathLike[str]) -> Scan:
    """Return the whole cases of an ACDC folder and the problems of all others.

    Raises:
        InputError: there is no such folder, or it holds no patients.
    """
    root = require_directory(dataset_dir, LAYOUT)
    patients = _patients(root)
    if not patients:
        raise InputError(
            f"dataset_dir '{root}' holds {describe_contents(root)}; expected {LAYOUT}. {_where_to_point(root)}"
        )
    scan = Scan()
    for folder in patients:
        scan.extend(_scan_patient(folder))
    _join_same_scans(scan.items)
    return sorted_scan(scan)


def _join_same_scans(items: list[Item]) -> None:
    """Give the two copies of one scan one ``patient_id``, so that no split trains on what it validates on."""
    by_case = {item["case_id"]: item for item in items}
    for first, second in SAME_SCAN:
        pairs = [(by_case.get(f"{first}_{phase}"), by_case.get(f"{second}_{phase}")) for phase in ("ed", "es")]
        if any(a is not None and b is not None and _same_voxels(a["image"], b["image"]) for a, b in pairs):
            for _, copy in pairs:
                if copy is not None:
                    copy["patient_id"] = first


def _same_voxels(path: str, other: str) -> bool:
    try:
        return bool(np.array_equal(np.asarray(nib.load(path).dataobj), np.asarray(nib.load(other).dataobj)))  # type: ignore[attr-defined]
    except (OSError, EOFError, zlib.error, nib.filebasedimages.ImageFileError):
        return False  # a damaged file is found, and named, where the volumes are read


def _patients(folder: Path) -> list[Path]:
    return [entry for entry in visible(folder) if _PATIENT.fullmatch(entry.name) and entry.is_dir()]


def _where_to_point(root: Path) -> str:
    if _PATIENT.fullmatch(root.name) and _frames(root).images:
        return f"That is one patient: give the folder above it, '{root.parent}'."
    found = [folder for folder in folders_below(root) if _patients(folder)]
    if found:
        return "There are patients in " + ", ".join(f"'{folder}'" for folder in found) + ": give that folder."
    return "Give the folder that holds the patients, ACDC's database/training."


@dataclass
class _Frames:
    images: dict[int, Path] = field(default_factory=dict)
    labels: dict[int, Path] = field(default_factory=dict)
    twice: list[Path] = field(default_factory=list)


def _frames(folder: Path) -> _Frames:
    frames = _Frames()
    for path in visible(folder):
        match = _FRAME.fullmatch(path.name.removeprefix(folder.name))
        if match:
            files = frames.labels if match[2] else frames.images
            if int(match[1]) in files:
                frames.twice.append(path)
            files.setdefault(int(match[1]), path)
    return frames


def _scan_patient(folder: Path) -> Scan:
    try:
        info = _read_info(folder / "Info.cfg")
        phases = {"ed": _frame_number(info, "ED"), "es": _frame_number(info, "ES")}
    except InputError as error:
        way_out = "Write the lines 'ED: 1' and 'ES: 12' with this patient's frame numbers."
        return Scan(problems=[Problem(folder.name, str(folder / "Info.cfg"), "error", str(error), way_out)])
    frames = _frames(folder)
    scan = Scan(problems=_file_problems(folder, frames, phases))
    for phase, number in phases.items():
        image, label = frames.images.get(number), frames.labels.get(number)
        if image and label:
            scan.items.append(_item(folder.name, phase, image, label, info))
        else:
            scan.problems.append(_missing(folder, phase, number, frames))
    return scan


def _read_info(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise InputError(f"{path.name} is missing")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _frame_number(info: dict[str, str], key: str) -> int:
    if key not in info:
        raise InputError(f"Info.cfg has no key {key}, only {', '.join(info) or 'no keys at all'}")
    if not info[key].isdecimal() or int(info[key]) < 1:
        raise InputError(f"Info.cfg must give {key} as a frame number from 1 on, got '{info[key]}'")
    return int(info[key])


def _item(patient: str, phase: str, image: Path, label: Path, info: dict[str, str]) -> Item:
    return {
        "image": str(image),
        "label": str(label),
        "patient_id": patient,
        "case_id": f"{patient}_{phase}",
        "phase": phase,
        "group": info.get("Group", ""),
        **body_size(info.get("Height"), info.get("Weight")),
    }


def _missing(folder: Path, phase: str, number: int, frames: _Frames) -> Problem:
    case_id = f"{folder.name}_{phase}"
    image = folder / f"{folder.name}_frame{number:02d}.nii.gz"
    label = folder / f"{folder.name}_frame{number:02d}_gt.nii.gz"
    if number in frames.images:
        return Problem(case_id, str(frames.images[number]), "error", f"image without label {label.name}", _RESTORE)
    if number in frames.labels:
        return Problem(case_id, str(frames.labels[number]), "error", f"label without image {image.name}", _RESTORE)
    there = ", ".join(str(frame) for frame in sorted(frames.images)) or "none"
    message = f"Info.cfg names frame {number} as {phase.upper()}, but the frames in the folder are: {there}"
    return Problem(case_id, str(image), "error", message, "Correct Info.cfg, or restore the frame.")


_RESTORE = "Restore the missing file, or move the patient out of the folder."


def _file_problems(folder: Path, frames: _Frames, phases: dict[str, int]) -> list[Problem]:
    twice = "this frame is there twice, as .nii and .nii.gz"
    problems = [Problem(folder.name, str(path), "error", twice, "Remove one of them.") for path in frames.twice]
    if phases["ed"] == phases["es"]:
        message = f"Info.cfg names frame {phases['ed']} as both ED and ES"
        problems.append(
            Problem(folder.name, str(folder / "Info.cfg"), "error", message, "Correct the frame numbers in Info.cfg.")
        )
    for number in sorted(({*frames.images} | {*frames.labels}) - {*phases.values()}):
        path = frames.images.get(number) or frames.labels[number]
        message = f"frame {number} is neither ED ({phases['ed']}) nor ES ({phases['es']}): not used"
        problems.append(Problem(folder.name, str(path), "warning", message, "Correct Info.cfg if it should be used."))
    return problems

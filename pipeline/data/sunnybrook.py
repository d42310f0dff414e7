"""The Sunnybrook Cardiac Data as a datalist: cine DICOM as the scanner wrote it, contours drawn into masks.

What is drawn, and what that means:

- Contour n was drawn on the image whose InstanceNumber is n. Its coordinates count from 1: the center of the first
  pixel lies at (1, 1), as MATLAB counts. The data set does not say so: counted from 0, the contours of the
  two patients at hand lie about 0.8 pixels to the right of and below the edges in their images.
- i-contours enclose the cavity of the left ventricle, papillary muscles included; o-contours its outer wall, on one
  phase only. What lies between the two is myocardium. Contours of papillary muscles (p-contours) are not used.
- ED is the phase with the largest drawn cavity, ES that with the smallest.
- A slice without an i-contour is not known to be without a ventricle, and the right ventricle is drawn nowhere.
  ``transforms.KeepDrawnd`` leaves both out of an evaluation, ``transforms.CropToDrawnd`` undrawn slices out of a
  training, and ``whole_cases`` the phases without myocardium.

Source: Radau et al., "Evaluation framework for algorithms segmenting short axis cardiac MRI", The MIDAS Journal, 2009.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from pipeline.data.contours import fill_contour, read_contour
from pipeline.data.layout import body_size, describe_contents, folders_below, require_directory, safe_name, visible
from pipeline.data.problem import Item, Problem, Scan, sorted_scan
from pipeline.errors import InputError
from pipeline.files import atomic_path
from pipeline.geometry import voxel_volume_ml
from pipeline.labels import Structure

if TYPE_CHECKING:
    from pipeline.data.dicom import CineStack  # with pydicom, which takes its time to import

LAYOUT = (
    "link.csv, dicoms/PATIENT/*.dcm and contourfiles/ORIGINAL/i-contours, o-contours with "
    "IM-0001-NNNN-icontour-manual.txt (Sunnybrook Cardiac Data)"
)

_LINK, _DICOMS, _CONTOURS = "link.csv", "dicoms", "contourfiles"
_COLUMNS = ("patient_id", "original_id")
FIRST_PIXEL = 1.0
"""Coordinate, in the contour files, of the center of the first pixel along each axis."""

_CONTOUR = re.compile(r"IM-\d+-(\d+)-([io])contour-(?:manual|auto)\.txt", re.IGNORECASE)
_RESTORE = "Restore it, or take the patient out of link.csv."

Place = tuple[int, int]
"""Index of a slice and of a phase."""


def sunnybrook_datalist(
    dataset_dir: str | os.PathLike[str], label_dir: str | os.PathLike[str] | None = None
) -> list[Item]:
    """Return ED and ES of a Sunnybrook folder, and draw its contours into label files.

    Args:
        dataset_dir: the folder that holds ``link.csv``, ``dicoms`` and ``contourfiles``; nothing is written to it.
        label_dir: folder for the labels, ``PATIENT_label.nii.gz``: 4D on the grid of the DICOM cine, with the project's
            values for LV and myocardium. Made where it does not exist; by default a folder in the user's cache.

    Returns:
        A MONAI datalist, two cases a patient (``SCD0000101_ed``, ``SCD0000101_es``), sorted by ``case_id``. ``image``
        is a DICOM folder, ``frame`` the index of the phase in image and label, ``drawn`` the structures that the
        contours of this phase give: ``"myo lv"`` or ``"lv"``.

    Raises:
        InputError: there is no such folder, it holds no patients, a cine or a contour cannot be read, a contour names
            an image that the cine does not have, or the labels cannot be written.
    """
    return scan_sunnybrook(dataset_dir, label_dir).datalist(Path(dataset_dir))


def whole_cases(datalist: Sequence[Item]) -> list[Item]:
    """Return the cases to train on: those whose drawn structures include the myocardium.

    Raises:
        InputError: no case is left.
    """
    whole = [item for item in datalist if Structure.MYO.key in item.get("drawn", Structure.MYO.key).split()]
    if not whole:
        raise InputError(f"None of the {len(datalist)} cases has o-contours: there is no myocardium to train on.")
    return whole


def looks_like_sunnybrook(folder: Path) -> bool:
    """Tell whether a folder has Sunnybrook's layout."""
    return (folder / _LINK).is_file() and (folder / _DICOMS).is_dir() and (folder / _CONTOURS).is_dir()


def scan_sunnybrook(dataset_dir: str | os.PathLike[str], label_dir: str | os.PathLike[str] | None = None) -> Scan:
    """Return the whole cases of a Sunnybrook folder and the problems of all others; see ``sunnybrook_datalist``.

    Raises:
        InputError: there is no such folder, it holds no patients, or the labels cannot be written.
    """
    root = require_directory(dataset_dir, LAYOUT)
    if not looks_like_sunnybrook(root):
        raise InputError(
            f"dataset_dir '{root}' holds {describe_contents(root)}; expected {LAYOUT}.{_where_to_point(root)}"
        )
    folder = default_label_dir(root) if label_dir is None else Path(label_dir).expanduser()
    scan = Scan()
    for patient, original in _read_link(root / _LINK):
        scan.extend(_scan_patient(root, patient, original, folder))
    return sorted_scan(scan)


def default_label_dir(root: Path) -> Path:
    """Return the folder in the user's cache where the labels of a data set are drawn."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache")
    return cache / "cardiac_sax" / f"sunnybrook-{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]}"


def _where_to_point(root: Path) -> str:
    found = [folder for folder in (root.resolve().parent, *folders_below(root)) if looks_like_sunnybrook(folder)]
    return f" It lies in '{found[0]}': give that folder." if found else ""


def _read_link(path: Path) -> list[tuple[str, str]]:
    """Return the pairs of names of a patient: of the DICOM folder, and of the folder of contours."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or any(not row.get(column) for row in rows for column in _COLUMNS):
        raise InputError(f"{path} must have the columns {' and '.join(_COLUMNS)} and a line a patient. Restore it.")
    return [(row[_COLUMNS[0]].strip(), row[_COLUMNS[1]].strip()) for row in rows]


class _Contour(NamedTuple):
    path: Path
    points: NDArray[np.float64]


@dataclass(frozen=True)
class _Drawing:
    """The contours of a patient by the image that they lie on, in pixels from the center of the first one.

    Attributes:
        endo: around the cavity.
        epi: around the outer wall.
    """

    endo: dict[Place, _Contour]
    epi: dict[Place, _Contour]


def _scan_patient(root: Path, patient: str, original: str, label_dir: Path) -> Scan:
    dicoms, contours = root / _DICOMS / patient, root / _CONTOURS / original
    for folder, what in ((dicoms, "contours without DICOM folder"), (contours, "DICOM folder without contours")):
        if not folder.is_dir():
            return Scan(problems=[Problem(patient, str(folder), "error", what, _RESTORE)])
    from pipeline.data.dicom import read_cine

    try:
        stack = read_cine(dicoms)
    except InputError as error:
        return Scan(problems=[Problem(patient, str(dicoms), "error", str(error), "Copy or export the cine again.")])
    drawing, problems = _read_drawing(patient, contours, places_by_instance(stack))
    if problems:
        return Scan(problems=problems)
    return _draw_patient(patient, dicoms, contours, stack, drawing, label_dir)


def places_by_instance(stack: CineStack) -> dict[int, Place]:
    """Return slice and phase of each image of a cine by its InstanceNumber, read from the images."""
    import pydicom

    places: dict[int, Place] = {}
    for z, phases in enumerate(stack.frames):
        for t, frame in enumerate(phases):
            header = pydicom.dcmread(frame.path, specific_tags=["InstanceNumber"], stop_before_pixels=True)
            if header.get("InstanceNumber") is not None:
                places[int(header.InstanceNumber)] = (z, t)
    return places


def _read_drawing(patient: str, folder: Path, places: dict[int, Place]) -> tuple[_Drawing, list[Problem]]:
    drawing, problems = _Drawing({}, {}), []
    for path in (path for sub in ("i-contours", "o-contours") for path in _files(folder / sub)):
        match = _CONTOUR.fullmatch(path.name)
        if not match:
            continue
        try:
            place = _place(places, int(match[1]))
            contour = _Contour(path, read_contour(path) - FIRST_PIXEL)
        except InputError as error:
            problems.append(Problem(patient, str(path), "error", str(error), "Restore the contour, or take it out."))
            continue
        (drawing.endo if match[2].lower() == "i" else drawing.epi)[place] = contour
    if not drawing.endo and not problems:
        problems.append(Problem(patient, str(folder / "i-contours"), "error", "there is no i-contour", _RESTORE))
    return drawing, problems


def _files(folder: Path) -> list[Path]:
    return visible(folder) if folder.is_dir() else []


def _place(places: dict[int, Place], instance: int) -> Place:
    if instance not in places:
        raise InputError(f"the contour names InstanceNumber {instance}, and the cine has no such image")
    return places[instance]


def _draw_patient(
    patient: str, dicoms: Path, contours: Path, stack: CineStack, drawing: _Drawing, label_dir: Path
) -> Scan:
    label, problems = draw_label(stack.shape, drawing), []
    empty = [contour.path for (z, t), contour in drawing.endo.items() if not (label[:, :, z, t] == Structure.LV).any()]
    for path in empty:
        message = f"the contour encloses no pixel of the image, which has {stack.shape[0]} x {stack.shape[1]}"
        problems.append(Problem(patient, str(path), "error", message, "Restore the contour, or take it out."))
    if problems:
        return Scan(problems=problems)
    volumes_ml = {t: _cavity_ml(label[..., t], stack.affine) for t in sorted({t for _, t in drawing.endo})}
    phases = {"ed": max(volumes_ml, key=volumes_ml.__getitem__), "es": min(volumes_ml, key=volumes_ml.__getitem__)}
    if phases["ed"] == phases["es"]:
        message = "contours are drawn on one phase only, taken for ED"
        problems.append(Problem(patient, str(contours), "warning", message, "Add the contours of the other phase."))
        del phases["es"]
    path = _write_label(label_dir / f"{safe_name(patient)}_label.nii.gz", label, stack.affine)
    size = body_size(stack.height_cm, stack.weight_kg)
    items: list[Item] = [
        {
            "image": str(dicoms),
            "label": str(path),
            "patient_id": patient,
            "case_id": f"{safe_name(patient)}_{phase}",
            "phase": phase,
            "group": "",
            "frame": t,
            "drawn": " ".join(structure.key for structure in _drawn(drawing, t)),
            **size,
        }
        for phase, t in phases.items()
    ]
    return Scan(items, problems)


def draw_label(shape: tuple[int, int, int, int], drawing: _Drawing) -> NDArray[np.uint8]:
    """Return the contours as a 4D label of LV and myocardium.

    Myocardium is drawn only in phases where each i-contour has its o-contour.
    """
    label = np.zeros(shape, dtype=np.uint8)
    for (z, t), contour in drawing.endo.items():
        if Structure.MYO in _drawn(drawing, t):
            label[fill_contour(drawing.epi[z, t].points, shape[:2]), z, t] = Structure.MYO
        label[fill_contour(contour.points, shape[:2]), z, t] = Structure.LV
    return label


def _drawn(drawing: _Drawing, t: int) -> list[Structure]:
    slices = {z for z, phase in drawing.endo if phase == t}
    walled = {z for z, phase in drawing.epi if phase == t}
    return [Structure.MYO, Structure.LV] if slices <= walled else [Structure.LV]


def _cavity_ml(label: NDArray[np.uint8], affine: NDArray[np.float64]) -> float:
    return float(np.count_nonzero(label == Structure.LV) * voxel_volume_ml(affine))


def _write_label(path: Path, label: NDArray[np.uint8], affine: NDArray[np.float64]) -> Path:
    image = nib.Nifti1Image(label, affine)
    image.set_qform(affine, code="scanner")
    image.set_sform(affine, code="scanner")
    # Without the time of writing, so that equal contours give equal files, and data sets equal digests.
    content = gzip.compress(image.to_bytes(), mtime=0)
    try:
        with atomic_path(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"label_dir '{path.parent}' cannot be written ({reason}); give one that can.") from error
    return path

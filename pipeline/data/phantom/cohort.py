"""Phantom patients as files, in the layout of ACDC."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.data.phantom.case import PhantomPatient, draw_phantom_heart
from pipeline.data.phantom.cine_study import CineStudy, on_dicom_grid
from pipeline.data.phantom.dicom import DICOM_STYLES, write_cine_dicom
from pipeline.data.phantom.diseases import PHANTOM_GROUPS
from pipeline.data.phantom.grid import check_grid
from pipeline.data.phantom.heart import Array
from pipeline.errors import InputError

RECORD_NAME = "phantom.json"
"""File beside the patients that tells how they were made; it marks a folder that a new cohort may replace."""

_COMFORTABLE_FIELD_MM = 190.0  # in-plane; smaller ones are drawn only where the sizes asked for allow no more


_Size = tuple[int, int, int]
_Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class GridRange:
    """The grids that a cohort's scans are drawn from; every pair is lowest and highest, both included.

    Attributes:
        in_plane_size: voxels along x and along y.
        num_slices: slices of a stack.
        in_plane_spacing_mm: voxel spacing along x and y, which are equal.
        slice_spacing_mm: distance between slices. From the range, only what lets the stack hold the heart is drawn.

    Raises:
        InputError: a pair that is not positive and in order, or a range in which some grids cannot hold a heart.
    """

    in_plane_size: tuple[int, int] = (128, 176)
    num_slices: tuple[int, int] = (8, 11)
    in_plane_spacing_mm: tuple[float, float] = (1.2, 1.9)
    slice_spacing_mm: tuple[float, float] = (5.0, 10.0)

    def __post_init__(self) -> None:
        for name, (low, high) in vars(self).items():
            if not (0 < low <= high and math.isfinite(high)):
                raise InputError(f"{name} must be (lowest, highest), positive and in this order, got {(low, high)}.")
        size, spacing = self.in_plane_size[0], self.in_plane_spacing_mm[1]
        check_grid((size, size, self.num_slices[0]), (spacing, spacing, self.slice_spacing_mm[1]))

    def draw(self, rng: np.random.Generator, heart_mm: float) -> tuple[_Size, _Spacing]:
        """Return the shape and the spacing in mm of one scan that holds a heart of a length, where the ranges allow."""
        size = int(rng.integers(self.in_plane_size[0], self.in_plane_size[1] + 1))
        others = [n for n in range(self.in_plane_size[0], self.in_plane_size[1] + 1) if n != size] or [size]
        other = int(rng.choice(others))
        spacing = _draw_from(rng, self.in_plane_spacing_mm, _COMFORTABLE_FIELD_MM / min(size, other))
        fewest = min(max(self.num_slices[0], math.ceil(heart_mm / self.slice_spacing_mm[1])), self.num_slices[1])
        slices = int(rng.integers(fewest, self.num_slices[1] + 1))
        thickness = _draw_from(rng, self.slice_spacing_mm, heart_mm / slices)
        return (size, other, slices), (spacing, spacing, thickness)


def make_phantom_cohort(
    output_dir: str | os.PathLike[str],
    num_patients: int = 10,
    seed: int = 0,
    num_phases: int = 30,
    write_cine: bool = False,
    write_dicom: str = "",
    in_plane_size: tuple[int, int] = (128, 176),
    num_slices: tuple[int, int] = (8, 11),
    in_plane_spacing_mm: tuple[float, float] = (1.2, 1.9),
    slice_spacing_mm: tuple[float, float] = (5.0, 10.0),
    groups: Sequence[str] = PHANTOM_GROUPS,
    progress: bool = False,
) -> list[Path]:
    """Write phantom patients as ACDC does: NIfTI of end-diastole and end-systole with labels, and ``Info.cfg``.

    A patient depends on ``seed`` and on its number, not on ``num_patients``: a larger cohort begins with the smaller.
    An earlier phantom cohort in ``output_dir`` is replaced; a folder with other patients is refused.

    Args:
        output_dir: folder for ``patient001``, ``patient002``, …; made where it does not exist.
        num_patients: number of patients.
        seed: 0 or more.
        num_phases: phases in a beat, at least 2; end-diastole is frame 1.
        write_cine: also write all phases as a 4D image ``patientNNN_4d.nii.gz``, with the seconds between phases in
            ``pixdim[4]``.
        write_dicom: one of ``DICOM_STYLES`` to also write all phases as DICOM, in the folder ``patientNNN_dicom`` of
            the patient, and the labels of all phases on the grid of the DICOM images, ``patientNNN_dicom_gt.nii.gz``.
        in_plane_size: lowest and highest number of voxels along x and along y.
        num_slices: lowest and highest number of slices.
        in_plane_spacing_mm: lowest and highest voxel spacing along x and y.
        slice_spacing_mm: lowest and highest distance between slices.
        groups: groups of the patients, in turn, from ``PHANTOM_GROUPS``.
        progress: show a progress bar.

    Returns:
        The patients' folders, sorted.

    Raises:
        InputError: fewer than 1 patient, fewer than 2 phases, a negative seed, no group or an unknown one, an unknown
            style of DICOM, grids that cannot hold a heart, a folder that cannot be written or that holds patients which
            are no phantoms.
    """
    if num_patients < 1:
        raise InputError(f"num_patients must be at least 1, got {num_patients}.")
    if num_phases < 2:
        raise InputError(f"num_phases must be at least 2, end-diastole and end-systole, got {num_phases}.")
    if write_dicom and write_dicom not in DICOM_STYLES:
        raise InputError(f"write_dicom must be one of {', '.join(DICOM_STYLES)}, got '{write_dicom}'.")
    if not groups:
        raise InputError(f"groups must name at least one of {', '.join(PHANTOM_GROUPS)}, got none.")
    for group in groups:
        draw_phantom_heart(seed, group)  # refuses a wrong seed or group before anything is written
    grids = GridRange(in_plane_size, num_slices, in_plane_spacing_mm, slice_spacing_mm)
    files = _Files(num_phases, write_cine, write_dicom)
    folder = Path(output_dir)
    _prepare(folder, {"num_patients": num_patients, "seed": seed, "num_phases": num_phases, "groups": list(groups)})
    patients = []
    for number in tqdm(range(1, num_patients + 1), desc="phantom patients", disable=not progress):
        patient = folder / f"patient{number:03d}"
        group = groups[(number - 1) % len(groups)]
        _write_patient(patient, np.random.default_rng([seed, number]), group, grids, files)
        patients.append(patient)
    return patients


def _prepare(folder: Path, record: dict[str, Any]) -> None:
    """Make the folder, remove an earlier phantom cohort, write how this one is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        earlier = sorted(folder.glob("patient[0-9]*"))
        if earlier and not (folder / RECORD_NAME).is_file():
            raise InputError(
                f"output_dir '{folder}' holds {len(earlier)} patients that are no phantoms ({earlier[0].name}, …); "
                "give an empty or a new folder."
            )
        for patient in earlier:
            shutil.rmtree(patient)
        _write(folder / RECORD_NAME, (json.dumps(record, indent=2) + "\n").encode())
    except OSError as error:
        raise InputError(f"output_dir '{folder}' cannot be written ({error}); give a folder that can.") from error


@dataclass(frozen=True)
class _Files:
    """Which files of a patient to write, see ``make_phantom_cohort``."""

    num_phases: int
    cine: bool
    dicom: str


def _write_patient(folder: Path, rng: np.random.Generator, group: str, grids: GridRange, files: _Files) -> None:
    seed = int(rng.integers(2**31))
    es_index = min(max(round(rng.uniform(0.30, 0.40) * files.num_phases), 1), files.num_phases - 1)
    es_phase = es_index / files.num_phases
    shape, spacing_mm = grids.draw(rng, draw_phantom_heart(seed, group, es_phase).extent_mm)
    patient = PhantomPatient(seed, group, shape, spacing_mm, es_phase)
    folder.mkdir()
    phases = range(files.num_phases) if files.cine or files.dicom else (0, es_index)
    pairs = {index: patient.render(index / files.num_phases) for index in phases}
    for index in (0, es_index):
        stem = f"{folder.name}_frame{index + 1:02d}"
        _write_nifti(folder / f"{stem}.nii.gz", pairs[index][0], patient.affine)
        _write_nifti(folder / f"{stem}_gt.nii.gz", pairs[index][1], patient.affine)
    phase_s = rng.uniform(0.7, 1.1) / files.num_phases
    body = _draw_body(rng)
    if files.cine:
        cine = np.stack([image for image, _ in pairs.values()], axis=-1)
        _write_nifti(folder / f"{folder.name}_4d.nii.gz", cine, patient.affine, phase_s)
    if files.dicom:
        _write_dicom(folder, list(pairs.values()), patient.affine, phase_s, body, files.dicom)
    # Last, so that a patient with Info.cfg is complete.
    _write(folder / "Info.cfg", _info(body, group, es_index + 1, files.num_phases).encode())


def _write_dicom(
    folder: Path,
    pairs: Sequence[tuple[NDArray[np.int16], NDArray[np.uint8]]],
    affine: Array,
    phase_s: float,
    body: tuple[int, int],
    style: str,
) -> None:
    cine, labels = (np.stack(volumes, axis=-1) for volumes in zip(*pairs, strict=True))
    study = CineStudy(
        cine,
        affine,
        rr_ms=1000 * phase_s * len(pairs),
        patient_name=f"Phantom^{folder.name.capitalize()}",
        patient_id=f"PHANTOM-{folder.name.removeprefix('patient')}",
        height_cm=body[0],
        weight_kg=body[1],
        uid_seed=f"{folder.name} {hashlib.sha256(cine.tobytes()).hexdigest()}",
    )
    write_cine_dicom(folder / f"{folder.name}_dicom", study, style)
    _write_nifti(folder / f"{folder.name}_dicom_gt.nii.gz", *on_dicom_grid(labels, affine), phase_s)


def _draw_body(rng: np.random.Generator) -> tuple[int, int]:
    """Return a height in cm and a weight in kg."""
    height_cm = round(float(np.clip(rng.normal(172, 9), 150, 195)))
    weight_kg = round(float(np.clip(rng.normal(25, 3), 18, 34)) * (height_cm / 100) ** 2)
    return height_cm, weight_kg


def _info(body: tuple[int, int], group: str, es_frame: int, num_phases: int) -> str:
    lines = [
        "ED: 1",
        f"ES: {es_frame}",
        f"Group: {group}",
        f"Height: {body[0]:.1f}",
        f"NbFrame: {num_phases}",
        f"Weight: {body[1]:.1f}",
    ]
    return "\n".join(lines) + "\n"


def _draw_from(rng: np.random.Generator, limits: tuple[float, float], lowest: float) -> float:
    """Return a value within limits, not below ``lowest`` where they allow; four decimals, as headers keep them."""
    low, high = limits
    return round(float(rng.uniform(min(max(low, lowest), high), high)), 4)


def _write_nifti(path: Path, array: NDArray[Any], affine: Array, phase_s: float = 0.0) -> None:
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"phantom"
    if array.ndim == 4:
        image.header["pixdim"][4] = phase_s
    image.set_qform(affine, code="scanner")
    image.set_sform(affine, code="scanner")
    _write(path, gzip.compress(image.to_bytes(), compresslevel=3, mtime=0))


def _write(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it, so that it is there whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(content)
    unfinished.replace(path)

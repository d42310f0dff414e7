"""What is known of a cine stack that was read from DICOM, voxels apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SourceFrame:
    """The DICOM image that one slice of one phase came from.

    Attributes:
        path: its file.
        sop_class_uid: SOP Class UID (0008,0016).
        sop_instance_uid: SOP Instance UID (0008,0018).
        frame_number: place in a multi-frame object, from 1; None where the file holds a single image.
    """

    path: str
    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int | None = None


@dataclass(frozen=True)
class Repair:
    """Something that was wrong with a study and what was done about it.

    Attributes:
        problem: what was found, without a word that identifies the patient.
        resolution: what the reader did.
    """

    problem: str
    resolution: str


@dataclass(frozen=True)
class CineStack:
    """A short-axis stack over the heart beat: its grid, its times, and where each image came from.

    The array axes are those of NIfTI: x runs along a row of the DICOM image (to higher columns), y along a column (to
    higher rows), z from slice to slice along the normal, t over the phases.

    Attributes:
        study_instance_uid: of the study.
        series_instance_uids: of the series that the stack was made of; several where each slice has its own.
        series_description: as the scanner wrote it; may hold anything.
        shape: number of voxels along x and y, of slices, and of phases.
        affine: 4x4 matrix from voxel indices to mm in NIfTI's world (RAS), from the positions of the slices.
        frames: the source of each image, ``frames[slice][phase]``.
        phase_times_ms: time of each phase after the R wave; None where the scanner wrote none.
        heart_rate_bpm: beats a minute, None where unknown.
        height_cm: Patient's Size, None where unknown.
        weight_kg: Patient's Weight, None where unknown.
        reason: why this series was taken for the short-axis cine.
        repairs: what was wrong, and what was done.
        slice_positions_mm: real places of the slices along the normal, from the first, where there are several;
            ``affine`` has their mean distance.
    """

    study_instance_uid: str
    series_instance_uids: tuple[str, ...]
    series_description: str
    shape: tuple[int, int, int, int]
    affine: NDArray[np.float64]
    frames: tuple[tuple[SourceFrame, ...], ...]
    phase_times_ms: tuple[float, ...] | None = None
    heart_rate_bpm: float | None = None
    height_cm: float | None = None
    weight_kg: float | None = None
    reason: str = ""
    repairs: tuple[Repair, ...] = ()
    slice_positions_mm: tuple[float, ...] = ()

"""A phantom cine with all that a scanner would write beside the pixels, in DICOM's words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import generate_uid
from pydicom.valuerep import format_number_as_ds

from pipeline.data.phantom.heart import Array
from pipeline.errors import InputError

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM's patient axes run to the left, back and head, NIfTI's do not


@dataclass(frozen=True)
class CineStudy:
    """A cine and its patient, before it becomes files.

    Attributes:
        cine: unsigned intensities that fit 16 bits, shape ``(x, y, slices, phases)``; x runs along a row of the image.
        affine: 4x4 from voxel indices to RAS+ mm; the slices lie along the normal of the images, either way.
        rr_ms: time from beat to beat; the phases share it evenly, the first at 0 ms.
        patient_name: invented; DICOM's form ``family^given``.
        patient_id: invented.
        height_cm: of the patient.
        weight_kg: of the patient.
        uid_seed: equal seeds give equal UIDs.
        slice_thickness_mm: as the scanner writes it, which need not be the distance of the slices; 8 by default.

    Raises:
        InputError: the cine is not 4D, or holds values that do not fit 16 bits.
    """

    cine: NDArray[Any]
    affine: Array
    rr_ms: float = 900.0
    patient_name: str = "Phantom^Heart"
    patient_id: str = "PHANTOM"
    height_cm: float = 170.0
    weight_kg: float = 70.0
    uid_seed: str = "phantom"
    slice_thickness_mm: float = 8.0
    lps: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the cine and turn the affine to DICOM's axes."""
        if self.cine.ndim != 4:
            raise InputError(f"cine must be 4D (x, y, slices, phases), got shape {self.cine.shape}.")
        if self.cine.size and not 0 <= self.cine.min() <= self.cine.max() < 2**16:
            raise InputError(f"cine must hold values from 0 to 65535, got {self.cine.min()} to {self.cine.max()}.")
        object.__setattr__(self, "lps", _LPS_FROM_RAS @ self.affine)

    @property
    def num_slices(self) -> int:
        """Number of slices."""
        return self.cine.shape[2]

    @property
    def num_phases(self) -> int:
        """Number of phases of the beat."""
        return self.cine.shape[3]

    @property
    def spacing_mm(self) -> Array:
        """Voxel spacing along x, y and the slices, shape (3,)."""
        return np.asarray(np.linalg.norm(self.lps[:3, :3], axis=0))

    @property
    def bits_stored(self) -> int:
        """Bits of a pixel that are used: 12, or as many as the brightest pixel needs."""
        return max(12, int(self.cine.max(initial=0)).bit_length())

    def trigger_ms(self, phase: int) -> float:
        """Return the time of a phase after the R wave."""
        return phase * self.rr_ms / self.num_phases

    def uid(self, *names: object) -> str:
        """Return a UID that depends on the seed and the names alone."""
        # one text: generate_uid joins its sources without a gap, and slice 1, phase 11 would be slice 11, phase 1
        return generate_uid(entropy_srcs=[" ".join([self.uid_seed, *(str(name) for name in names)])])

    def pixels(self, z: int, phase: int) -> NDArray[np.uint16]:
        """Return one image as DICOM stores it: rows first."""
        return np.ascontiguousarray(self.cine[:, :, z, phase].T.astype("<u2"))

    def position(self, z: int) -> list[str]:
        """Return Image Position (Patient) of a slice: the center of its first pixel, LPS mm."""
        return decimals((self.lps @ [0.0, 0.0, z, 1.0])[:3])

    def orientation(self) -> list[str]:
        """Return Image Orientation (Patient): the directions along a row (x) and along a column (y), LPS."""
        return decimals((self.lps[:3, :2] / self.spacing_mm[:2]).T.ravel())

    def pixel_spacing(self) -> list[str]:
        """Return Pixel Spacing: first between rows (along y), then between columns (along x), mm."""
        return decimals(self.spacing_mm[[1, 0]])


def on_dicom_grid(array: NDArray[Any], affine: Array) -> tuple[NDArray[Any], Array]:
    """Return an array with its slices in the order of the normal of its images, as DICOM readers put them.

    Args:
        array: shape ``(x, y, slices, …)``.
        affine: 4x4 from voxel indices to RAS+ mm.

    Returns:
        The array and the affine, both turned around where the third axis runs against the cross product of the first
        two; else as they came.
    """
    if np.linalg.det(affine[:3, :3]) > 0:
        return array, affine
    turned = affine.copy()
    turned[:3, 3] += turned[:3, 2] * (array.shape[2] - 1)
    turned[:3, 2] *= -1
    return array[:, :, ::-1], turned


def attributes(**values: Any) -> Dataset:
    """Return a data set of attributes by their keywords; dictionaries become sequences of one item."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, [value] if isinstance(value, Dataset) else value)
    return dataset


def decimals(values: Any) -> list[str]:
    """Return numbers as decimal strings of at most 16 characters (VR DS)."""
    return [format_number_as_ds(float(value)) for value in values]


def decimal(value: float) -> str:
    """Return a number as a decimal string of at most 16 characters (VR DS)."""
    return decimals([value])[0]


def patient_and_study(study: CineStudy) -> Dataset:
    """Return the modules that all images of the study share: patient, study, frame of reference, equipment."""
    return attributes(
        SpecificCharacterSet="ISO_IR 192",
        PatientName=study.patient_name,
        PatientID=study.patient_id,
        PatientBirthDate="19700101",
        PatientSex="O",
        PatientSize=decimal(study.height_cm / 100),
        PatientWeight=decimal(study.weight_kg),
        StudyInstanceUID=study.uid("study"),
        StudyDate="20200101",
        StudyTime="120000",
        StudyID="1",
        AccessionNumber="",
        ReferringPhysicianName="",
        StudyDescription="Phantom of the beating heart",
        Modality="MR",
        PatientPosition="HFS",
        FrameOfReferenceUID=study.uid("frame of reference"),
        PositionReferenceIndicator="",
        Manufacturer="Phantom",
        ManufacturerModelName="Parametric heart",
        DeviceSerialNumber="1",
        SoftwareVersions="1",
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=study.cine.shape[1],
        Columns=study.cine.shape[0],
        BitsAllocated=16,
        BitsStored=study.bits_stored,
        HighBit=study.bits_stored - 1,
        PixelRepresentation=0,
    )

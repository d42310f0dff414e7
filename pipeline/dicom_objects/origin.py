"""What a DICOM object that is made of a cine takes from the cine's own files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import config, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.uid import MRImageStorage, generate_uid
from pydicom.valuerep import DA, TM, DSfloat

from pipeline.data.dicom.cine import CineStack, SourceFrame
from pipeline.data.dicom.frame import Frame
from pipeline.data.dicom.headers import read_headers
from pipeline.data.dicom.values import number, text, value
from pipeline.errors import InputError
from pipeline.geometry import spacing_mm

# at INFO it logs the UIDs of the images that it copies from
logging.getLogger("highdicom").setLevel(logging.WARNING)

IDENTIFYING = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
"""Attributes that must be there, if only empty (type 2), and that name the patient or the visit."""
IDENTIFYING_OPTIONAL = ("IssuerOfPatientID", "PatientAge", "StudyDescription")
PHYSICAL = ("PatientSex", "PatientSize", "PatientWeight")
"""Attributes that the numbers need and that name nobody."""
SEXES = ("M", "F", "O")

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_DECIMALS = 12
"""12.5 is written, not the 12.500000000000002 of a matrix product."""


@dataclass(frozen=True)
class SourceInstance:
    """A DICOM object of the source, with the frames that were used of it.

    Attributes:
        sop_class_uid: SOP Class UID.
        sop_instance_uid: SOP Instance UID.
        series_instance_uid: Series Instance UID.
        frame_numbers: from 1, in the order of use; None where it holds a single image.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    frame_numbers: list[int] | None = None


class SourceImages:
    """The images of some phases of a cine, and the DICOM objects that hold them.

    Args:
        stack: the cine.
        phases: phases that are asked for, from 0.

    Raises:
        InputError: a file of the cine can no longer be read.
    """

    def __init__(self, stack: CineStack, phases: Iterable[int]) -> None:
        self._sources = {phase: [row[phase] for row in stack.frames] for phase in phases}
        self._frames = _read_frames([source for sources in self._sources.values() for source in sources])

    def instances(self, phases: Iterable[int] | None = None) -> list[SourceInstance]:
        """List the objects of some of the phases, of all where None: each once, in the order of phases and slices."""
        chosen = self._sources if phases is None else phases
        numbers: dict[str, list[int]] = {}
        sources: dict[str, SourceFrame] = {}
        for source in (source for phase in chosen for source in self._sources[phase]):
            sources[source.sop_instance_uid] = source
            used = numbers.setdefault(source.sop_instance_uid, [])
            if source.frame_number is not None and source.frame_number not in used:
                used.append(source.frame_number)
        return [
            SourceInstance(source.sop_class_uid, uid, self._frame(source).header.series_uid, numbers[uid] or None)
            for uid, source in sources.items()
        ]

    def positions_mm(self) -> NDArray[np.float64]:
        """Return where each slice lies: Image Position (Patient), ``(slices, 3)`` in LPS."""
        first = next(iter(self._sources.values()))
        return np.array([self._frame(source).position for source in first], dtype=np.float64)

    def _frame(self, source: SourceFrame) -> Frame:
        return self._frames[source.path, source.frame_number]


def _read_frames(sources: Sequence[SourceFrame]) -> dict[tuple[str, int | None], Frame]:
    paths = sorted({source.path for source in sources})
    frames = {(frame.path, frame.number): frame for frame in read_headers(paths).frames}
    for source in sources:
        frame = frames.get((source.path, source.frame_number))
        if frame is None or frame.position is None:
            raise InputError(
                f"{source.path} can no longer be read as an image of the cine. Run again once all files are there."
            )
    return frames


def reference_image(stack: CineStack, with_identifiers: bool) -> Dataset:
    """Describe the cine's first slice as a single MR image, as highdicom wants the source of what it makes.

    Its patient and study are those of the cine's first file. Without identifiers, name, ID, birth date, accession
    number, study ID and date, and physician are empty, and nothing else of the patient is there than sex, size and
    weight. Position, orientation and spacing are those of ``stack.affine``, so classic and Enhanced sources, with
    repaired headers or not, are the same here. Its instance UIDs are new ones, that exist nowhere else.

    Args:
        stack: the cine.
        with_identifiers: whether to keep what names the patient. Values that DICOM forbids are emptied all the same.

    Raises:
        InputError: the cine's first file cannot be read any more.
    """
    first = stack.frames[0][0]
    optional = IDENTIFYING_OPTIONAL if with_identifiers else ()
    keywords = [*IDENTIFYING, *optional, *PHYSICAL, "FrameOfReferenceUID", "SliceThickness"]
    source = _read_header(first.path, keywords)
    image = Dataset()
    for keyword in [*IDENTIFYING, *PHYSICAL, *optional]:
        written = _valid_text(source, keyword) if with_identifiers or keyword in PHYSICAL else ""
        if written or keyword in (*IDENTIFYING, "PatientSex"):
            setattr(image, keyword, written)
    image.StudyInstanceUID = stack.study_instance_uid
    image.SeriesInstanceUID, image.SOPInstanceUID = generate_uid(), generate_uid()
    image.SOPClassUID, image.Modality = MRImageStorage, "MR"
    image.FrameOfReferenceUID = text(source, "FrameOfReferenceUID") or generate_uid()
    _set_grid(image, stack, number(source, "SliceThickness") or 0.0)
    return image


def instance_dataset(stack: CineStack, instance: SourceInstance) -> Dataset:
    """Return the identity of an object of the source alone, as evidence of a report."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = instance.sop_class_uid, instance.sop_instance_uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = stack.study_instance_uid, instance.series_instance_uid
    return dataset


def _set_grid(image: Dataset, stack: CineStack, slice_thickness: float) -> None:
    affine = _RAS_TO_LPS @ stack.affine
    along_row, along_column, between_slices = spacing_mm(affine)
    image.Columns, image.Rows = stack.shape[:2]
    image.ImageOrientationPatient = _decimals([*affine[:3, 0] / along_row, *affine[:3, 1] / along_column])
    image.ImagePositionPatient = _decimals(affine[:3, 3])
    image.PixelSpacing = _decimals([along_column, along_row])
    image.SliceThickness = _decimals([slice_thickness if slice_thickness > 0 else between_slices])[0]


def _decimals(values: Iterable[float]) -> list[DSfloat]:
    return [DSfloat(round(float(value), _DECIMALS) + 0.0, auto_format=True) for value in values]


def _valid_text(source: Dataset, keyword: str) -> str:
    found = value(source, keyword)
    if found is None or isinstance(found, MultiValue) or (keyword == "PatientSex" and found not in SEXES):
        return ""
    written, representation = str(found), dictionary_VR(keyword)
    try:
        DataElement(Tag(keyword), representation, written, validation_mode=config.RAISE)
        # the 31st of February has the right form and is none all the same
        {"DA": DA, "TM": TM}.get(representation, str)(written)
    except ValueError:
        return ""
    return written


def _read_header(path: str, keywords: list[str]) -> Dataset:
    try:
        # the reader took the file for DICOM, also where it has no preamble
        return dcmread(path, stop_before_pixels=True, specific_tags=list(keywords), force=True)
    except OSError as error:
        raise InputError(
            f"{path} can no longer be read ({error.strerror}). Run again once all files are there."
        ) from error

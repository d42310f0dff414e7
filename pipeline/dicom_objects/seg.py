"""Writes the masks of a cine as a DICOM segmentation that viewers show on its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from highdicom import AlgorithmIdentificationSequence, PlanePositionSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from pipeline.data.dicom.cine import CineStack, SourceFrame
from pipeline.data.dicom.headers import quiet_pydicom
from pipeline.dicom_objects import codes
from pipeline.dicom_objects.origin import SourceImages, SourceInstance, reference_image
from pipeline.files import atomic_path
from pipeline.labels import FOREGROUND, Structure

SERIES_NUMBER = 9001
SERIES_DESCRIPTION = "Cardiac segmentation, automatic, for research use"
MANUFACTURER = "cardiac-sax-pipeline"
CHARACTER_SET = "ISO_IR 192"
"""UTF-8: holds every name."""

SEGMENT_NAMES: dict[Structure, str] = {
    Structure.RV: "RV blood pool",
    Structure.MYO: "LV myocardium",
    Structure.LV: "LV blood pool",
}
# Sky blue, yellow and vermilion, as in the pictures of the reports
_SEGMENT_RGB: dict[Structure, tuple[int, int, int]] = {
    Structure.RV: (86, 180, 233),
    Structure.MYO: (240, 228, 66),
    Structure.LV: (213, 94, 0),
}
_DERIVATION = Code("113076", "DCM", "Segmentation")
_PURPOSE = Code("121322", "DCM", "Source Image for Image Processing Operation")


def write_dicom_seg(
    path: str | Path,
    mask: NDArray[Any],
    stack: CineStack,
    phases: Sequence[int] | None = None,
    *,
    algorithm_name: str,
    algorithm_version: str,
    phase_names: Mapping[int, str] | None = None,
    with_identifiers: bool = False,
) -> Path:
    """Write masks of a cine as one DICOM SEG of type BINARY.

    All phases lie at the same positions, and a reader that builds a volume of each segment would merge them. So each
    structure of each phase is a segment of its own: for the k-th phase written, from 0, numbers 3k+1 (RV), 3k+2
    (myocardium) and 3k+3 (LV). Each frame names the one image that it was drawn on, and the object as a whole names
    all images of the phases. Frames without a voxel of their segment are left out; where the whole mask is empty, all
    frames are there.

    The planes lie where the images lie, also where the slices are uneven and ``stack.affine`` is their mean. Study,
    Frame of Reference and the UIDs of the images are the source's own, or no viewer would find the images. A PACS that
    files objects by patient needs the patient's name and ID as well: they are written only with ``with_identifiers``;
    without, name, ID, birth date, accession number, study ID, date and physician are empty, and sex, size and weight
    alone stay. The file appears whole or not at all.

    Args:
        path: where to write; missing folders are made, an earlier file is replaced.
        mask: whole numbers, the values of :class:`~pipeline.labels.Structure`, ``(X, Y, slices, phases)``.
        stack: the cine, of the same shape.
        phases: phases to write, from 0, each once; all where None.
        algorithm_name: name of the network.
        algorithm_version: its version, or the checksum of its weights; at most 64 characters.
        phase_names: what to call a phase in the labels of its segments, such as ``{0: "ED", 9: "ES"}``.
        with_identifiers: whether patient and study may be named in it.

    Returns:
        The path.

    Raises:
        ValueError: the mask has another shape than the stack or other values than the structures', or ``phases`` is
            empty, names a phase twice or one that is not there.
        InputError: a file of the cine can no longer be read.

    Source: DICOM PS3.3 A.51 "Segmentation IOD", C.8.20 "Segmentation".
    """
    chosen = _checked_phases(phases, stack)
    planes = _segment_planes(_checked_mask(mask, stack), chosen)
    images = SourceImages(stack, chosen)
    # UIDs that break the rules are the scanner's and must be named as they are
    with quiet_pydicom():
        segmentation = _segmentation(
            planes,
            images.positions_mm(),
            reference_image(stack, with_identifiers),
            _segments(stack, chosen, phase_names or {}, algorithm_name, algorithm_version),
        )
        _reference_instances(segmentation, images.instances())
        _reference_frames(segmentation, stack, chosen, images.positions_mm())
        with atomic_path(Path(path)) as partial:
            segmentation.save_as(partial, enforce_file_format=True)
    return Path(path)


def tracking_id(structure: Structure, phase: int) -> str:
    """Return the Tracking ID by which reports find a segment: ``"lv phase 1"`` for the LV of phase 0."""
    return f"{structure.key} phase {phase + 1}"


def _checked_phases(phases: Sequence[int] | None, stack: CineStack) -> list[int]:
    number = stack.shape[3]
    chosen = list(range(number)) if phases is None else [int(phase) for phase in phases]
    if not chosen or len(set(chosen)) < len(chosen) or not all(0 <= phase < number for phase in chosen):
        raise ValueError(f"phases must be different whole numbers from 0 to {number - 1}, at least one, got {chosen}.")
    return chosen


def _checked_mask(mask: NDArray[Any], stack: CineStack) -> NDArray[np.uint8]:
    if mask.shape != tuple(stack.shape):
        raise ValueError(f"mask must have the shape of its stack, {tuple(stack.shape)}, got {mask.shape}.")
    labels = mask.astype(np.uint8)
    if not np.array_equal(labels, mask) or labels.max() > max(Structure):
        raise ValueError(
            f"mask must hold values from 0 to {max(Structure)}, got values from {mask.min()} to {mask.max()}."
        )
    return labels


def _segment_planes(mask: NDArray[np.uint8], phases: Sequence[int]) -> NDArray[np.uint8]:
    """Return ``(slices, rows, columns, segments)`` of 0 and 1, each segment contiguous in memory."""
    columns, rows, slices, _ = mask.shape
    planes = np.empty((len(phases) * len(FOREGROUND), slices, rows, columns), dtype=np.uint8)
    for index, (phase, structure) in enumerate(_segment_keys(phases)):
        planes[index] = int(structure) == mask[:, :, :, phase].T
    # a segment is read plane by plane, so highdicom gets a view rather than interleaved segments
    return np.moveaxis(planes, 0, -1)


def _segment_keys(phases: Sequence[int]) -> list[tuple[int, Structure]]:
    return [(phase, structure) for phase in phases for structure in FOREGROUND]


def _segmentation(
    planes: NDArray[np.uint8],
    positions_mm: NDArray[np.float64],
    reference: Dataset,
    segments: Sequence[SegmentDescription],
) -> Segmentation:
    algorithm = segments[0].SegmentationAlgorithmIdentificationSequence[0]
    segmentation = Segmentation(
        source_images=[reference],
        pixel_array=planes,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        plane_positions=[PlanePositionSequence("PATIENT", position) for position in positions_mm],
        series_instance_uid=generate_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=algorithm.AlgorithmName,
        software_versions=algorithm.AlgorithmVersion,
        # must be there, and software has none
        device_serial_number=algorithm.AlgorithmVersion,
        content_label="CARDIAC_SEG",
        content_description=SERIES_DESCRIPTION,
        series_description=SERIES_DESCRIPTION,
        specific_character_set=CHARACTER_SET,
    )
    # must be there, and nobody drew the segments
    segmentation.ContentCreatorName = ""
    return segmentation


def _segments(
    stack: CineStack, phases: Sequence[int], names: Mapping[int, str], algorithm_name: str, algorithm_version: str
) -> list[SegmentDescription]:
    algorithm = AlgorithmIdentificationSequence(
        name=algorithm_name, family=codes.ARTIFICIAL_INTELLIGENCE, version=algorithm_version
    )
    segments = []
    for number, (phase, structure) in enumerate(_segment_keys(phases), start=1):
        segment = SegmentDescription(
            segment_number=number,
            segment_label=_segment_label(structure, phase, names),
            segmented_property_category=codes.ANATOMICAL_STRUCTURE,
            segmented_property_type=codes.STRUCTURES[structure],
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            tracking_uid=generate_uid(),
            tracking_id=tracking_id(structure, phase),
            display_color=CIELabColor.from_rgb(*_SEGMENT_RGB[structure]),
        )
        segment.SegmentDescription = _phase_text(stack, phase)
        segments.append(segment)
    return segments


def _segment_label(structure: Structure, phase: int, names: Mapping[int, str]) -> str:
    name = f"{names[phase]}, " if phase in names else ""
    return f"{SEGMENT_NAMES[structure]}, {name}phase {phase + 1}"


def _phase_text(stack: CineStack, phase: int) -> str:
    text = f"phase {phase + 1} of {stack.shape[3]}"
    return text if stack.phase_times_ms is None else f"{text}, {stack.phase_times_ms[phase]:.0f} ms after the R wave"


def _reference_instances(segmentation: Segmentation, instances: Sequence[SourceInstance]) -> None:
    series: dict[str, list[Dataset]] = {}
    for instance in instances:
        item = _sop_reference(instance.sop_class_uid, instance.sop_instance_uid)
        if instance.frame_numbers is not None:
            item.ReferencedFrameNumber = instance.frame_numbers
        series.setdefault(instance.series_instance_uid, []).append(item)
    segmentation.SourceImageSequence = [item for items in series.values() for item in items]
    segmentation.ReferencedSeriesSequence = [_series_reference(uid, items) for uid, items in series.items()]


def _series_reference(series_instance_uid: str, items: Sequence[Dataset]) -> Dataset:
    reference = Dataset()
    reference.SeriesInstanceUID = series_instance_uid
    reference.ReferencedInstanceSequence = [
        _sop_reference(item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) for item in items
    ]
    return reference


def _reference_frames(
    segmentation: Segmentation, stack: CineStack, phases: Sequence[int], positions_mm: NDArray[np.float64]
) -> None:
    """Name the source image of each frame; highdicom matches by position, which all phases share."""
    keys = _segment_keys(phases)
    slices = {_position_key(position): index for index, position in enumerate(positions_mm)}
    for item in segmentation.PerFrameFunctionalGroupsSequence:
        phase, _ = keys[item.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1]
        position = item.PlanePositionSequence[0].ImagePositionPatient
        frame = stack.frames[slices[_position_key(position)]][phase]
        item.DerivationImageSequence = [_derivation(frame)]


def _position_key(position: Sequence[float]) -> tuple[float, ...]:
    # the 16 characters of a decimal string keep more than six decimals
    return tuple(round(float(value), 6) + 0.0 for value in position)


def _derivation(frame: SourceFrame) -> Dataset:
    source = _sop_reference(frame.sop_class_uid, frame.sop_instance_uid)
    if frame.frame_number is not None:
        source.ReferencedFrameNumber = frame.frame_number
    source.PurposeOfReferenceCodeSequence = [_code_item(_PURPOSE)]
    source.SpatialLocationsPreserved = "YES"
    derivation = Dataset()
    derivation.DerivationCodeSequence = [_code_item(_DERIVATION)]
    derivation.SourceImageSequence = [source]
    return derivation


def _sop_reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item


def _code_item(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item

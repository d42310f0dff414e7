"""Makes one flat list of images of a DICOM object, classic or multi-frame."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from pipeline.data.dicom.frame import Frame, Header
from pipeline.data.dicom.values import number, numbers, seconds_of_day, text, texts, value, whole

VELOCITY_TYPES = {"P", "PHASE", "PHASE MAP", "VELOCITY", "VELOCITY MAP", "PHASE_MAP", "VELOCITY_MAP"}
"""Values of Image Type that vendors give to the phase images of flow measurements, beside the standard's."""

MAX_FRAMES = 10_000
"""No multi-frame cine holds more; what claims more is damaged, and nothing is allocated for it."""

_HEADER_TAGS = [
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "Modality", "StudyInstanceUID", "SeriesInstanceUID",
    "SeriesNumber", "SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName", "AcquisitionNumber",
    "HeartRate", "NominalInterval", "CardiacRRIntervalSpecified", "PatientSize", "PatientWeight", "NumberOfFrames",
    "EncryptedAttributesSequence",
]  # fmt: skip
_FRAME_TAGS = [
    "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceLocation", "SpacingBetweenSlices",
    "SliceThickness", "TriggerTime", "TemporalPositionIdentifier", "NominalCardiacTriggerDelayTime",
    "AcquisitionTime", "AcquisitionDateTime", "InstanceNumber", "ImageType", "EchoTime", "InversionTime",
    "RescaleSlope", "RescaleIntercept", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
TAGS = _HEADER_TAGS + _FRAME_TAGS
"""What is read of a file: nothing that names the patient."""


def make_header(dataset: Dataset, path: str, damage: str = "") -> Header:
    """Return what an object says of all its images.

    Args:
        dataset: its attributes, those of ``TAGS`` at least.
        path: its file.
        damage: why its pixels cannot be read, empty where they can.
    """
    meta = getattr(dataset, "file_meta", Dataset())
    # the protocol of some vendors is that of the whole examination, and names what its other series hold
    names = (text(dataset, name) for name in ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName"))
    series_number = number(dataset, "SeriesNumber")
    return Header(
        path=path,
        study_uid=text(dataset, "StudyInstanceUID"),
        series_uid=text(dataset, "SeriesInstanceUID"),
        series_number=None if series_number is None else int(series_number),
        series_description=text(dataset, "SeriesDescription"),
        names=next(filter(None, names), "").lower(),
        sop_class_uid=text(dataset, "SOPClassUID") or text(meta, "MediaStorageSOPClassUID"),
        sop_instance_uid=text(dataset, "SOPInstanceUID") or text(meta, "MediaStorageSOPInstanceUID"),
        modality=text(dataset, "Modality").upper(),
        transfer_syntax_uid=text(meta, "TransferSyntaxUID"),
        acquisition_number=number(dataset, "AcquisitionNumber"),
        heart_rate_bpm=number(dataset, "HeartRate"),
        rr_interval_ms=_rr_interval_ms(dataset),
        patient_size=number(dataset, "PatientSize"),
        patient_weight_kg=number(dataset, "PatientWeight"),
        damage=damage,
    )


def _rr_interval_ms(dataset: Dataset) -> float | None:
    stated = number(dataset, "NominalInterval") or number(dataset, "CardiacRRIntervalSpecified")
    groups = value(dataset, "PerFrameFunctionalGroupsSequence")
    if stated or not groups:
        return stated
    shared = value(dataset, "SharedFunctionalGroupsSequence") or [Dataset()]
    fields = _FunctionalGroups(dataset, groups[0], shared[0])
    return fields.number("RRIntervalTimeNominal", "CardiacSynchronizationSequence")


def make_frames(dataset: Dataset, header: Header) -> tuple[Frame, ...]:
    """Return the images of an object, none where it holds no pixels (a report, a directory).

    Args:
        dataset: its attributes, those of ``TAGS`` at least.
        header: what it says of all its images.

    Source: DICOM PS3.3, sections C.7.6.2 (image plane), C.7.6.16 (functional groups) and C.7.6.18 (cardiac
    synchronization).
    """
    if not whole(dataset, "Rows", 0) or not whole(dataset, "Columns", 0):
        return ()
    groups = value(dataset, "PerFrameFunctionalGroupsSequence") or ()
    # functional groups that say nothing stand in classic objects too (Sunnybrook's)
    if (value(dataset, "NumberOfFrames") is not None and len(groups) > 0) or any(len(group) > 0 for group in groups):
        shared = value(dataset, "SharedFunctionalGroupsSequence") or [Dataset()]
        return tuple(
            _make_frame(_FunctionalGroups(dataset, group, shared[0]), header, index)
            for index, group in enumerate(groups, start=1)
        )
    count = whole(dataset, "NumberOfFrames", 1)
    fields = _FunctionalGroups(dataset, Dataset(), Dataset())
    # a damaged object may claim any number of images
    if count <= 1 or header.damage:
        return (_make_frame(fields, header, None),)
    return tuple(_make_frame(fields, header, index) for index in range(1, count + 1))


class _FunctionalGroups:
    """The attributes of one image, wherever its object keeps them."""

    def __init__(self, dataset: Dataset, own: Dataset, shared: Dataset) -> None:
        self.dataset = dataset
        self.own = own
        self.shared = shared

    def find(self, keyword: str, *macros: str) -> Dataset:
        """Return the data set that has the attribute: that of a functional group, else the object's own."""
        return next((item for item in self._items(macros) if keyword in item), self.dataset)

    def number(self, keyword: str, *macros: str) -> float | None:
        return number(self.find(keyword, *macros), keyword)

    def numbers(self, keyword: str, count: int, *macros: str) -> tuple[float, ...] | None:
        return numbers(self.find(keyword, *macros), keyword, count)

    def has(self, macro: str) -> bool:
        return macro in self.own or macro in self.shared

    def _items(self, macros: tuple[str, ...]) -> Iterator[Dataset]:
        for groups in (self.own, self.shared):
            for macro in macros:
                yield from value(groups, macro) or ()


def _make_frame(fields: _FunctionalGroups, header: Header, index: int | None) -> Frame:
    dataset = fields.dataset
    image_type = _image_type(fields)
    signed = whole(dataset, "PixelRepresentation", 0) == 1
    bits = whole(dataset, "BitsStored", whole(dataset, "BitsAllocated", 16))
    slope = fields.number("RescaleSlope", "PixelValueTransformationSequence")
    intercept = fields.number("RescaleIntercept", "PixelValueTransformationSequence")
    return Frame(
        header=header,
        number=index,
        rows=whole(dataset, "Rows", 0),
        columns=whole(dataset, "Columns", 0),
        samples=whole(dataset, "SamplesPerPixel", 1),
        wide=bits > (16 if signed else 15),
        position=fields.numbers("ImagePositionPatient", 3, "PlanePositionSequence"),
        orientation=fields.numbers("ImageOrientationPatient", 6, "PlaneOrientationSequence"),
        pixel_spacing=fields.numbers("PixelSpacing", 2, "PixelMeasuresSequence"),
        slice_location=number(dataset, "SliceLocation") if index is None else None,
        slice_spacing=fields.number("SpacingBetweenSlices", "PixelMeasuresSequence")
        or fields.number("SliceThickness", "PixelMeasuresSequence"),
        trigger_time=number(dataset, "TriggerTime") if index is None else None,
        temporal_position=_temporal_position(fields, index),
        trigger_delay=fields.number("NominalCardiacTriggerDelayTime", "CardiacSynchronizationSequence"),
        acquisition_time=_acquisition_time(fields),
        instance_number=number(dataset, "InstanceNumber") if index is None else float(index),
        image_type=image_type,
        echo_time=fields.number("EffectiveEchoTime", "MREchoSequence") or number(dataset, "EchoTime"),
        inversion_time=number(dataset, "InversionTime"),
        velocity=bool(VELOCITY_TYPES.intersection(image_type[2:])) or fields.has("MRVelocityEncodingSequence"),
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
    )


def _image_type(fields: _FunctionalGroups) -> tuple[str, ...]:
    item = fields.find("FrameType", "MRImageFrameTypeSequence")
    return tuple(name.upper() for name in texts(item, "FrameType") or texts(fields.dataset, "ImageType"))


def _temporal_position(fields: _FunctionalGroups, index: int | None) -> float | None:
    if index is None:
        return number(fields.dataset, "TemporalPositionIdentifier")
    return fields.number("TemporalPositionIndex", "FrameContentSequence")


def _acquisition_time(fields: _FunctionalGroups) -> float | None:
    content = fields.find("FrameAcquisitionDateTime", "FrameContentSequence")
    clock = (
        text(content, "FrameAcquisitionDateTime")
        or text(fields.dataset, "AcquisitionTime")
        or text(fields.dataset, "AcquisitionDateTime")
    )
    return seconds_of_day(clock)

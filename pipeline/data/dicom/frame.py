"""One image as its DICOM header describes it, the same for classic and for multi-frame objects."""

from __future__ import annotations

from dataclasses import dataclass

Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """What a DICOM object says of all its images. Empty strings and None stand for what it does not say.

    Attributes:
        path: its file.
        study_uid: Study Instance UID, valid or not.
        series_uid: Series Instance UID, valid or not.
        series_number: Series Number.
        series_description: as the scanner wrote it; may hold anything.
        names: what tells the kind of the series, in lower case: its description, else the protocol, else the sequence.
        sop_class_uid: SOP Class UID.
        sop_instance_uid: SOP Instance UID, valid or not.
        modality: such as ``"MR"``.
        transfer_syntax_uid: how the pixels are encoded.
        acquisition_number: Acquisition Number.
        heart_rate_bpm: beats a minute.
        rr_interval_ms: time from one R wave to the next.
        patient_size: Patient's Size as written; meters by the standard.
        patient_weight_kg: Patient's Weight.
        damage: why its pixels cannot be read; empty where they can.
    """

    path: str
    study_uid: str
    series_uid: str
    series_number: int | None
    series_description: str
    names: str
    sop_class_uid: str
    sop_instance_uid: str
    modality: str
    transfer_syntax_uid: str
    acquisition_number: float | None
    heart_rate_bpm: float | None
    rr_interval_ms: float | None
    patient_size: float | None
    patient_weight_kg: float | None
    damage: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One image: a file of a classic object, or a frame of a multi-frame object.

    Attributes:
        header: what its object says of all images.
        number: its place in a multi-frame object, from 1; None where the object holds one image.
        rows: number of rows.
        columns: number of columns.
        samples: values a pixel; 1 unless it is a color picture.
        wide: the stored values may need more than 16 signed bits.
        position: Image Position (Patient): center of the first pixel in mm, LPS.
        orientation: Image Orientation (Patient): directions along a row and along a column.
        pixel_spacing: distance in mm of rows, and of columns.
        slice_location: Slice Location in mm.
        slice_spacing: Spacing Between Slices in mm, else Slice Thickness.
        trigger_time: Trigger Time in ms after the R wave.
        temporal_position: Temporal Position Identifier (classic) or Index (multi-frame).
        trigger_delay: Nominal Cardiac Trigger Delay Time in ms after the R wave.
        acquisition_time: seconds after midnight.
        instance_number: Instance Number; of a multi-frame object the number of the frame.
        image_type: Image Type or Frame Type, in upper case.
        echo_time: in ms.
        inversion_time: in ms.
        velocity: it shows velocities, not tissue.
        slope: rescale slope.
        intercept: rescale intercept.
    """

    header: Header
    number: int | None
    rows: int
    columns: int
    samples: int
    wide: bool
    position: Vector | None
    orientation: Vector | None
    pixel_spacing: Vector | None
    slice_location: float | None
    slice_spacing: float | None
    trigger_time: float | None
    temporal_position: float | None
    trigger_delay: float | None
    acquisition_time: float | None
    instance_number: float | None
    image_type: tuple[str, ...]
    echo_time: float | None
    inversion_time: float | None
    velocity: bool
    slope: float
    intercept: float

    @property
    def path(self) -> str:
        """The file that holds it."""
        return self.header.path

    @property
    def series(self) -> str:
        """What tells its series from others of the study: the UID, else the number."""
        return self.header.series_uid or f"number {self.header.series_number}"

    @property
    def age(self) -> tuple[float, float, float, str]:
        """Sorts repeated images from the first to the last acquired."""
        unknown = -1.0
        order = (self.header.acquisition_number, self.acquisition_time, self.instance_number)
        numbers = [unknown if value is None else value for value in order]
        return numbers[0], numbers[1], numbers[2], self.header.path

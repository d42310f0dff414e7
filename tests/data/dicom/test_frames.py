"""One list of images, whether an object is classic or multi-frame."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset

from pipeline.data.dicom.frame import Frame
from pipeline.data.dicom.frames import make_frames, make_header


def dataset(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def frames_of(image: Dataset) -> tuple[Frame, ...]:
    return make_frames(image, make_header(image, "a.dcm"))


@pytest.fixture
def enhanced() -> Dataset:
    """Two frames: the second is a slice further and 30 ms later; orientation and spacing are shared."""
    shared = dataset(
        PlaneOrientationSequence=[dataset(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelMeasuresSequence=[dataset(PixelSpacing=[1.5, 1.25], SliceThickness=8)],
    )
    frames = [
        dataset(
            PlanePositionSequence=[dataset(ImagePositionPatient=[0, 0, 8 * index])],
            CardiacSynchronizationSequence=[dataset(NominalCardiacTriggerDelayTime=30.0 * index)],
            FrameContentSequence=[dataset(TemporalPositionIndex=index + 1, FrameAcquisitionDateTime="20200101000010")],
            PixelValueTransformationSequence=[dataset(RescaleSlope=2 + index, RescaleIntercept=-1)],
        )
        for index in range(2)
    ]
    return dataset(
        Rows=6, Columns=8, NumberOfFrames=2, BitsStored=16, PixelRepresentation=0, Modality="MR",
        SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=frames,
    )  # fmt: skip


def test_object_without_pixels_gives_no_image() -> None:
    assert frames_of(dataset(Modality="SR")) == ()


def test_classic_object_is_one_image_without_number() -> None:
    (frame,) = frames_of(dataset(Rows=6, Columns=8, TriggerTime="30", ImagePositionPatient=[1, 2, 3]))
    assert (frame.number, frame.rows, frame.columns, frame.trigger_time) == (None, 6, 8, 30.0)
    assert frame.position == (1.0, 2.0, 3.0)
    assert (frame.pixel_spacing, frame.slope, frame.intercept) == (None, 1.0, 0.0)


@pytest.mark.parametrize("groups", [[], [Dataset()]])
def test_empty_functional_groups_make_no_multi_frame_object(groups: list[Dataset]) -> None:
    (frame,) = frames_of(dataset(Rows=6, Columns=8, PerFrameFunctionalGroupsSequence=groups, TriggerTime=30))
    assert (frame.number, frame.trigger_time) == (None, 30.0)


def test_frames_share_what_is_said_once(enhanced: Dataset) -> None:
    first, second = frames_of(enhanced)
    assert first.orientation == second.orientation == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    assert first.pixel_spacing == second.pixel_spacing == (1.5, 1.25)
    assert first.slice_spacing == 8.0


def test_frames_have_what_is_said_of_each(enhanced: Dataset) -> None:
    _, second = frames_of(enhanced)
    assert (second.number, second.position, second.trigger_delay) == (2, (0.0, 0.0, 8.0), 30.0)
    assert (second.temporal_position, second.acquisition_time) == (2.0, 10.0)
    assert (second.slope, second.intercept) == (3.0, -1.0)


def test_frames_of_a_multi_frame_object_without_groups_are_counted() -> None:
    assert [frame.number for frame in frames_of(dataset(Rows=6, Columns=8, NumberOfFrames=3))] == [1, 2, 3]


@pytest.mark.parametrize(
    ("bits", "signed", "wide"), [(12, 0, False), (15, 0, False), (16, 0, True), (16, 1, False), (32, 1, True)]
)
def test_values_that_need_more_than_16_signed_bits(bits: int, signed: int, wide: bool) -> None:
    (frame,) = frames_of(dataset(Rows=6, Columns=8, BitsStored=bits, PixelRepresentation=signed))
    assert frame.wide is wide


@pytest.mark.parametrize("kind", ["P", "VELOCITY", "PHASE MAP"])
def test_velocities_are_known_by_the_image_type(kind: str) -> None:
    (frame,) = frames_of(dataset(Rows=6, Columns=8, ImageType=["DERIVED", "PRIMARY", kind]))
    assert frame.velocity


def test_header_says_what_holds_for_all_images(enhanced: Dataset) -> None:
    enhanced.SeriesDescription, enhanced.CardiacRRIntervalSpecified = "Cine SAX", 900.0
    header = make_header(enhanced, "a.dcm")
    assert (header.modality, header.series_description, header.rr_interval_ms) == ("MR", "Cine SAX", 900.0)


@pytest.mark.parametrize(
    ("description", "protocol", "names"), [("Cine", "SAX and flow", "cine"), ("", "SAX", "sax"), ("", "", "fisp")]
)
def test_description_goes_before_protocol_and_sequence(description: str, protocol: str, names: str) -> None:
    image = dataset(SeriesDescription=description, ProtocolName=protocol, SequenceName="FISP")
    assert make_header(image, "a.dcm").names == names


def test_beat_of_a_multi_frame_object_is_that_of_its_first_frame(enhanced: Dataset) -> None:
    group = enhanced.PerFrameFunctionalGroupsSequence[0].CardiacSynchronizationSequence[0]
    assert make_header(enhanced, "a.dcm").rr_interval_ms is None
    group.RRIntervalTimeNominal = 880.0
    assert make_header(enhanced, "a.dcm").rr_interval_ms == 880.0


def test_series_without_uid_is_known_by_its_number() -> None:
    (frame,) = frames_of(dataset(Rows=6, Columns=8, SeriesNumber=7))
    assert frame.series == "number 7"

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from pipeline.data.dicom.cine import CineStack, SourceFrame
from pipeline.dicom_objects.origin import IDENTIFYING, IDENTIFYING_OPTIONAL, SourceImages, reference_image
from pipeline.errors import InputError

HEADER = {
    "PatientName": "Doe^Jane",
    "PatientID": "ID7",
    "PatientBirthDate": "19700101",
    "AccessionNumber": "A1",
    "StudyID": "S1",
    "StudyDate": "20200102",
    "StudyTime": "101112",
    "ReferringPhysicianName": "House^G",
    "IssuerOfPatientID": "Hospital",
    "PatientAge": "050Y",
    "StudyDescription": "Heart",
    "PatientSex": "F",
    "PatientSize": "1.7",
    "PatientWeight": "60",
    "SliceThickness": "6",
    "FrameOfReferenceUID": "1.2.3.2",
}


def make_stack(folder: Path, **changes: Any) -> CineStack:
    """Return a cine of one image, 1.25 x 1.5 x 8 mm, whose header says what ``changes`` say."""
    path = folder / "source"
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID, header.SeriesInstanceUID = MRImageStorage, "1.2.3.9", "1.2.3.3"
    header.Rows, header.Columns, header.ImagePositionPatient = 5, 6, [0, 0, 0]
    for keyword, value in (HEADER | changes).items():
        setattr(header, keyword, value)
    header.save_as(path, enforce_file_format=True)
    return CineStack(
        study_instance_uid="1.2.3.1",
        series_instance_uids=("1.2.3.3",),
        series_description="",
        shape=(6, 5, 1, 1),
        affine=np.diag([-1.25, -1.5, 8.0, 1.0]),
        frames=((SourceFrame(str(path), MRImageStorage, "1.2.3.9"),),),
    )


def test_identifiers_are_empty_or_not_there(tmp_path: Path) -> None:
    image = reference_image(make_stack(tmp_path), with_identifiers=False)
    assert [str(image[keyword].value or "") for keyword in IDENTIFYING] == [""] * len(IDENTIFYING)
    assert [keyword for keyword in IDENTIFYING_OPTIONAL if keyword in image] == []


def test_identifiers_stay_where_they_may(tmp_path: Path) -> None:
    image = reference_image(make_stack(tmp_path), with_identifiers=True)
    keywords = (*IDENTIFYING, *IDENTIFYING_OPTIONAL)
    assert {keyword: str(image[keyword].value) for keyword in keywords} == {key: HEADER[key] for key in keywords}


def test_sex_and_size_stay(tmp_path: Path) -> None:
    image = reference_image(make_stack(tmp_path), with_identifiers=False)
    assert (image.PatientSex, image.PatientSize, image.PatientWeight) == ("F", 1.7, 60)


def test_size_that_is_not_known_is_not_there(tmp_path: Path) -> None:
    image = reference_image(make_stack(tmp_path, PatientSize=None, PatientSex=None), with_identifiers=False)
    assert "PatientSize" not in image
    assert image.PatientSex == ""


@pytest.mark.filterwarnings("ignore:The value length", "ignore:Invalid value")
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientBirthDate", "20200231"),
        ("PatientSex", "X"),
        ("StudyTime", "later"),
        ("PatientID", "a" * 65),
        ("PatientID", ["a", "b"]),
    ],
)
def test_value_that_dicom_forbids_is_emptied(keyword: str, value: Any, tmp_path: Path) -> None:
    image = reference_image(make_stack(tmp_path, **{keyword: value}), with_identifiers=True)
    assert not image[keyword].value


def test_name_in_another_script_stays(tmp_path: Path) -> None:
    stack = make_stack(tmp_path, SpecificCharacterSet="ISO_IR 100", PatientName="Åström^Zoë")
    assert reference_image(stack, with_identifiers=True).PatientName == "Åström^Zoë"


def test_grid_is_the_stack_s(tmp_path: Path) -> None:
    image = reference_image(make_stack(tmp_path), with_identifiers=False)
    assert (image.Rows, image.Columns, image.PixelSpacing) == (5, 6, [1.5, 1.25])
    assert image.ImageOrientationPatient == [1, 0, 0, 0, 1, 0]


@pytest.mark.parametrize(("written", "expected"), [("6", 6), (None, 8), ("-1", 8)])
def test_slice_thickness_that_is_not_known_is_the_distance(written: str | None, expected: int, tmp_path: Path) -> None:
    image = reference_image(make_stack(tmp_path, SliceThickness=written), with_identifiers=False)
    assert image.SliceThickness == expected


def test_frame_of_reference_stays(tmp_path: Path) -> None:
    assert reference_image(make_stack(tmp_path), with_identifiers=False).FrameOfReferenceUID == "1.2.3.2"


def test_frame_of_reference_is_made_where_there_is_none(tmp_path: Path) -> None:
    stack = make_stack(tmp_path, FrameOfReferenceUID=None)
    assert reference_image(stack, with_identifiers=False).FrameOfReferenceUID.is_valid


def test_file_that_is_gone_is_named(tmp_path: Path) -> None:
    stack = make_stack(tmp_path)
    (tmp_path / "source").unlink()
    with pytest.raises(InputError, match=r"source can no longer be read \(No such file"):
        reference_image(stack, with_identifiers=False)


def test_image_without_a_position_is_named(tmp_path: Path) -> None:
    stack = make_stack(tmp_path, ImagePositionPatient=None)
    with pytest.raises(InputError, match="source can no longer be read as an image of the cine"):
        SourceImages(stack, [0])

"""Images as headers describe them, and tiny cine studies on disk, on an oblique grid to compute by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from pipeline.data.dicom.frame import Frame, Header

# unit vectors at right angles, LPS: the normal points to the left, forward and down, as a short axis does
ROW, COLUMN, NORMAL = np.array([[2, 1, 2], [-1, -2, 2], [2, -2, -1]]) / 3.0
ORIGIN = np.array([10.0, 20.0, 30.0])
COLUMNS, ROWS = 8, 6
ROW_SPACING_MM, COLUMN_SPACING_MM, SLICE_DISTANCE_MM = 1.5, 1.25, 8.0
RR_MS = 900.0

FrameMaker = Callable[..., Frame]


def position(slice_index: float) -> tuple[float, ...]:
    return tuple(float(value) for value in ORIGIN + SLICE_DISTANCE_MM * slice_index * NORMAL)


def _header(path: str, **changes: Any) -> Header:
    header = Header(
        path=path, study_uid="1.1", series_uid="1.2", series_number=5, series_description="cine", names="cine",
        sop_class_uid=MRImageStorage, sop_instance_uid="", modality="MR", transfer_syntax_uid=ExplicitVRLittleEndian,
        acquisition_number=None, heart_rate_bpm=None, rr_interval_ms=RR_MS, patient_size=None, patient_weight_kg=None,
        damage="",
    )  # fmt: skip
    return replace(header, **changes)


@pytest.fixture(scope="session")
def make_frame() -> FrameMaker:
    """Return a function that gives the image of a slice and a phase; keywords change the header or the image."""
    header_fields = set(Header.__dataclass_fields__)

    def make(slice_index: float = 0, phase: int = 0, phases: int = 6, **changes: Any) -> Frame:
        in_header = {key: value for key, value in changes.items() if key in header_fields}
        others = {key: value for key, value in changes.items() if key not in header_fields}
        in_header = {"sop_instance_uid": f"1.3.{slice_index}.{phase}"} | in_header
        frame = Frame(
            header=_header(in_header.pop("path", f"s{slice_index}p{phase}.dcm"), **in_header), number=None, rows=ROWS,
            columns=COLUMNS, samples=1, wide=False, position=position(slice_index),
            orientation=tuple(float(value) for value in (*ROW, *COLUMN)),
            pixel_spacing=(ROW_SPACING_MM, COLUMN_SPACING_MM), slice_location=SLICE_DISTANCE_MM * slice_index,
            slice_spacing=SLICE_DISTANCE_MM, trigger_time=RR_MS / phases * phase, temporal_position=phase + 1.0,
            trigger_delay=None, acquisition_time=None, instance_number=slice_index * phases + phase + 1.0,
            image_type=("ORIGINAL", "PRIMARY", "M"), echo_time=1.6, inversion_time=None, velocity=False, slope=1.0,
            intercept=0.0,
        )  # fmt: skip
        return replace(frame, **others)

    return make


@pytest.fixture(scope="session")
def make_frames(make_frame: FrameMaker) -> Callable[..., list[Frame]]:
    """Return a function that gives the images of a stack, slice by slice."""

    def make(slices: int = 4, phases: int = 6, **changes: Any) -> list[Frame]:
        return [make_frame(z, t, phases, **changes) for z in range(slices) for t in range(phases)]

    return make


def pixels(slices: int, phases: int) -> NDArray[np.int16]:
    """Values that tell where each voxel belongs: x + 10 y + 100 phase + 1000 slice."""
    x, y, z, t = np.ogrid[:COLUMNS, :ROWS, :slices, :phases]
    return (x + 10 * y + 100 * t + 1000 * z).astype(np.int16)


def _dataset(slice_index: int, phase: int, phases: int) -> Dataset:
    return _attributes(
        {
            "SOPClassUID": MRImageStorage, "SOPInstanceUID": f"1.3.{slice_index + 1}.{phase + 1}",
            "StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.2", "Modality": "MR", "SeriesNumber": 5,
            "SeriesDescription": "cine", "PatientName": "Secret^Name", "PatientID": "SECRET", "PatientSize": "1.75",
            "PatientWeight": "70", "InstanceNumber": slice_index * phases + phase + 1, "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2", "Rows": ROWS, "Columns": COLUMNS, "BitsAllocated": 16,
            "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0,
            "ImageType": ["ORIGINAL", "PRIMARY", "M"],
            "PixelSpacing": [ROW_SPACING_MM, COLUMN_SPACING_MM],
            "ImagePositionPatient": [f"{value:.6f}" for value in position(slice_index)],
            "ImageOrientationPatient": [f"{value:.8f}" for value in (*ROW, *COLUMN)],
            "SliceLocation": SLICE_DISTANCE_MM * slice_index, "SliceThickness": 6,
            "TriggerTime": RR_MS / phases * phase,
            "NominalInterval": int(RR_MS),
        }
    )  # fmt: skip


def _attributes(values: dict[str, Any]) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


StudyWriter = Callable[..., Path]


@pytest.fixture
def write_study(tmp_path: Path) -> StudyWriter:
    """Return a function that writes a cine, a file an image, and returns its folder; keywords change attributes."""

    def write(folder: str | Path = "study", slices: int = 3, phases: int = 5, **changes: Any) -> Path:
        path = tmp_path / folder
        path.mkdir(parents=True, exist_ok=True)
        values = pixels(slices, phases)
        for z, t in np.ndindex(slices, phases):
            dataset = _dataset(z, t, phases)
            dataset.PixelData = np.ascontiguousarray(values[:, :, z, t].T).tobytes()
            dataset.update(_attributes(changes))
            save(path / f"{z}_{t}", dataset)
        return path

    return write


def save(path: Path, dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> None:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dcmwrite(path, dataset, enforce_file_format=True)


@pytest.fixture(autouse=True)
def forget_headers() -> Iterator[None]:
    """Let no test see what another has read."""
    from pipeline.data.dicom.headers import _read_file

    yield
    _read_file.cache_clear()

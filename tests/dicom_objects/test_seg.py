from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage
from pydicom.valuerep import DS

from pipeline.data.dicom import read_cine
from pipeline.data.dicom.cine import CineStack, SourceFrame
from pipeline.dicom_objects.seg import tracking_id, write_dicom_seg
from pipeline.errors import InputError
from pipeline.labels import Structure

COLUMNS, ROWS, SLICES, PHASES = 7, 5, 3, 4
# an oblique stack in LPS: 1.25 mm along a row, 1.5 mm down a column, 8 mm from slice to slice
ALONG_ROW = np.array([2.0, 1.0, 2.0]) / 3
ALONG_COLUMN = np.array([-2.0, 2.0, 1.0]) / 3
NORMAL = np.array([-1.0, -2.0, 2.0]) / 3
ORIGIN = np.array([10.0, -20.0, 30.0])
STUDY, FRAME_OF_REFERENCE = "1.2.3.1", "1.2.3.2"
ALGORITHM = {"algorithm_name": "aspp", "algorithm_version": "1.0"}


def affine_of(direction: int) -> NDArray[np.float64]:
    lps = np.eye(4)
    lps[:3, :3] = np.stack([1.25 * ALONG_ROW, 1.5 * ALONG_COLUMN, direction * 8 * NORMAL], axis=1)
    lps[:3, 3] = ORIGIN
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def position_of(z: int, direction: int = 1) -> list[float]:
    return [float(value) for value in ORIGIN + z * direction * 8 * NORMAL]


def write_header(path: Path, sop_class: str, sop_instance: str, series: str, **more: Any) -> None:
    """Write a file with all that a segmentation takes from its source: no pixels."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = sop_class, sop_instance
    header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = STUDY, series, FRAME_OF_REFERENCE
    header.PatientName, header.PatientID, header.PatientBirthDate = "Doe^Jane", "ID7", "19700101"
    header.AccessionNumber, header.StudyID, header.StudyDate, header.StudyTime = "A1", "S1", "20200102", "101112"
    header.ReferringPhysicianName, header.InstitutionName, header.StudyDescription = "House^G", "Hospital", "Heart"
    header.Rows, header.Columns = ROWS, COLUMNS
    header.PatientSex, header.PatientSize, header.PatientWeight, header.SliceThickness = "F", "1.7", "60", "6"
    for keyword, value in more.items():
        setattr(header, keyword, value)
    header.save_as(path, enforce_file_format=True)


def make_stack(frames: list[list[SourceFrame]], series: tuple[str, ...], direction: int = 1) -> CineStack:
    return CineStack(
        study_instance_uid=STUDY,
        series_instance_uids=series,
        series_description="cine",
        shape=(COLUMNS, ROWS, SLICES, PHASES),
        affine=affine_of(direction),
        frames=tuple(map(tuple, frames)),
        phase_times_ms=(0.0, 200.0, 400.0, 600.0),
    )


def classic(folder: Path, direction: int = 1, **more: Any) -> CineStack:
    frames = []
    for z in range(SLICES):
        uids = [f"1.2.3.9.{z}.{t}" for t in range(PHASES)]
        for uid in uids:
            position = [DS(value, auto_format=True) for value in position_of(z, direction)]
            write_header(folder / uid, MRImageStorage, uid, "1.2.3.3", **{"ImagePositionPatient": position} | more)
        frames.append([SourceFrame(str(folder / uid), MRImageStorage, uid) for uid in uids])
    return make_stack(frames, ("1.2.3.3",), direction)


def one_series_a_slice(folder: Path) -> CineStack:
    stack = classic(folder)
    for z, row in enumerate(stack.frames):
        for frame in row:
            header = dcmread(frame.path)
            header.SeriesInstanceUID = f"1.2.3.4.{z}"
            header.save_as(frame.path)
    return replace(stack, series_instance_uids=("1.2.3.4.0", "1.2.3.4.1", "1.2.3.4.2"))


def plane_of(position: list[float]) -> Dataset:
    plane, group = Dataset(), Dataset()
    plane.ImagePositionPatient = [DS(value, auto_format=True) for value in position]
    group.PlanePositionSequence = [plane]
    return group


def enhanced(folder: Path, direction: int = 1) -> CineStack:
    path, uid = folder / "enhanced", "1.2.3.8"
    groups = [plane_of(position_of(z, direction)) for z in range(SLICES) for _ in range(PHASES)]
    write_header(
        path, EnhancedMRImageStorage, uid, "1.2.3.3", NumberOfFrames=12, PerFrameFunctionalGroupsSequence=groups
    )
    frames = [
        [SourceFrame(str(path), EnhancedMRImageStorage, uid, z * PHASES + t + 1) for t in range(PHASES)]
        for z in range(SLICES)
    ]
    return make_stack(frames, ("1.2.3.3",), direction)


SOURCES = {"classic": classic, "enhanced": enhanced}


@pytest.fixture
def stack(tmp_path: Path) -> CineStack:
    return classic(tmp_path)


@pytest.fixture
def mask() -> NDArray[np.uint8]:
    """Random labels, the RV gone from phase 3 and the last slice empty there."""
    labels = np.random.default_rng(0).integers(0, 4, (COLUMNS, ROWS, SLICES, PHASES), dtype=np.uint8)
    labels[..., 3][labels[..., 3] == Structure.RV] = 0
    labels[:, :, 2, 3] = 0
    return labels


def one_voxel() -> NDArray[np.uint8]:
    labels = np.zeros((COLUMNS, ROWS, SLICES, PHASES), dtype=np.uint8)
    labels[5, 1, 2, 3] = Structure.LV
    return labels


def write(stack: CineStack, mask: NDArray[np.uint8], *args: Any, **more: Any) -> Dataset:
    path = Path(stack.frames[0][0].path).with_name("seg.dcm")
    return dcmread(write_dicom_seg(path, mask, stack, *args, **ALGORITHM, **more))


def frame_of(seg: Dataset, index: int = 0) -> Dataset:
    return seg.PerFrameFunctionalGroupsSequence[index]


def source_of(frame: Dataset) -> Dataset:
    return frame.DerivationImageSequence[0].SourceImageSequence[0]


def mask_of(seg: Dataset, stack: CineStack, phases: list[int]) -> NDArray[np.uint8]:
    """Rebuild the mask from the source images that the frames name."""
    places = {
        (frame.sop_instance_uid, frame.frame_number): (z, t)
        for z, row in enumerate(stack.frames)
        for t, frame in enumerate(row)
    }
    labels = np.zeros(stack.shape, dtype=np.uint8)
    for pixels, frame in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        source = source_of(frame)
        z, t = places[source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber")]
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        assert t == phases[(number - 1) // 3]
        labels[:, :, z, t][pixels.T == 1] = (number - 1) % 3 + 1
    return labels


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("kind", SOURCES)
def test_all_phases_come_back(kind: str, direction: int, tmp_path: Path, mask: NDArray[np.uint8]) -> None:
    stack = SOURCES[kind](tmp_path, direction)
    assert np.array_equal(mask_of(write(stack, mask), stack, [0, 1, 2, 3]), mask)


def test_chosen_phases_come_back_in_their_order(stack: CineStack, mask: NDArray[np.uint8]) -> None:
    expected = mask.copy()
    expected[..., [1, 2]] = 0
    assert np.array_equal(mask_of(write(stack, mask, [3, 0]), stack, [3, 0]), expected)


def test_array_x_is_the_column_and_y_the_row(stack: CineStack) -> None:
    seg = write(stack, one_voxel())
    assert (seg.Rows, seg.Columns, seg.NumberOfFrames) == (ROWS, COLUMNS, 1)
    assert np.argwhere(seg.pixel_array).tolist() == [[1, 5]]


# the third slice lies 16 mm from the first: 16 * (-1, -2, 2) / 3 = (-16/3, -32/3, 32/3)
@pytest.mark.parametrize(("direction", "expected"), [(1, [14 / 3, -92 / 3, 122 / 3]), (-1, [46 / 3, -28 / 3, 58 / 3])])
def test_plane_lies_at_its_source(direction: int, expected: list[float], tmp_path: Path) -> None:
    frame = frame_of(write(classic(tmp_path, direction), one_voxel()))
    assert frame.PlanePositionSequence[0].ImagePositionPatient == pytest.approx(expected, abs=1e-6)


def test_uneven_slices_lie_where_they_are(stack: CineStack) -> None:
    path = Path(stack.frames[2][3].path)
    header = dcmread(path)
    header.ImagePositionPatient = [1.5, 2.5, 70]
    header.save_as(path)
    seg = write(stack, one_voxel(), [3])
    assert frame_of(seg).PlanePositionSequence[0].ImagePositionPatient == [1.5, 2.5, 70]
    assert "SpacingBetweenSlices" not in seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]


def test_grid_is_the_source_s(stack: CineStack) -> None:
    shared = write(stack, one_voxel()).SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    # between rows first, then between columns
    assert (measures.PixelSpacing, measures.SliceThickness) == ([1.5, 1.25], 6)
    assert measures.SpacingBetweenSlices == pytest.approx(8)
    assert orientation == pytest.approx([*ALONG_ROW, *ALONG_COLUMN], abs=1e-9)


def test_frame_names_the_image_of_its_phase_alone(stack: CineStack) -> None:
    derivation = frame_of(write(stack, one_voxel())).DerivationImageSequence[0]
    assert [item.ReferencedSOPInstanceUID for item in derivation.SourceImageSequence] == ["1.2.3.9.2.3"]


def test_frame_names_the_frame_of_an_enhanced_source(tmp_path: Path) -> None:
    source = source_of(frame_of(write(enhanced(tmp_path), one_voxel())))
    assert (source.ReferencedSOPInstanceUID, source.ReferencedFrameNumber) == ("1.2.3.8", 12)


def test_all_images_of_the_phases_are_named(stack: CineStack) -> None:
    (series,) = write(stack, one_voxel(), [1, 3]).ReferencedSeriesSequence
    found = [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence]
    assert series.SeriesInstanceUID == "1.2.3.3"
    assert found == [f"1.2.3.9.{z}.{t}" for t in (1, 3) for z in range(SLICES)]


def test_frames_of_an_enhanced_source_are_named_once(tmp_path: Path) -> None:
    (item,) = write(enhanced(tmp_path), one_voxel(), [1, 3]).SourceImageSequence
    assert item.ReferencedFrameNumber == [2, 6, 10, 4, 8, 12]


def test_each_slice_s_series_is_named(tmp_path: Path) -> None:
    seg = write(one_series_a_slice(tmp_path), one_voxel(), [3])
    found = {
        item.SeriesInstanceUID: [reference.ReferencedSOPInstanceUID for reference in item.ReferencedInstanceSequence]
        for item in seg.ReferencedSeriesSequence
    }
    assert found == {f"1.2.3.4.{z}": [f"1.2.3.9.{z}.3"] for z in range(SLICES)}


def test_structures_of_each_phase_are_segments(stack: CineStack) -> None:
    seg = write(stack, one_voxel(), [0, 3], phase_names={0: "ED"})
    assert [segment.SegmentLabel for segment in seg.SegmentSequence] == [
        "RV blood pool, ED, phase 1",
        "LV myocardium, ED, phase 1",
        "LV blood pool, ED, phase 1",
        "RV blood pool, phase 4",
        "LV myocardium, phase 4",
        "LV blood pool, phase 4",
    ]
    assert seg.SegmentSequence[5].TrackingID == tracking_id(Structure.LV, 3) == "lv phase 4"
    assert seg.SegmentSequence[5].SegmentDescription == "phase 4 of 4, 600 ms after the R wave"


def test_phase_without_times_is_numbered(stack: CineStack) -> None:
    seg = write(replace(stack, phase_times_ms=None), one_voxel())
    assert seg.SegmentSequence[0].SegmentDescription == "phase 1 of 4"


def test_segments_are_coded(stack: CineStack) -> None:
    seg = write(stack, one_voxel(), [0])
    codes = [segment.SegmentedPropertyTypeCodeSequence[0] for segment in seg.SegmentSequence]
    assert [(code.CodingSchemeDesignator, code.CodeValue) for code in codes] == [
        ("SCT", "53085002"),
        ("SCT", "49848007"),
        ("SCT", "87878005"),
    ]


def test_algorithm_is_named(stack: CineStack) -> None:
    segment = write(stack, one_voxel()).SegmentSequence[0]
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("aspp", "1.0")


def test_highdicom_reads_a_phase_on_the_grid(stack: CineStack, mask: NDArray[np.uint8], tmp_path: Path) -> None:
    path = write_dicom_seg(tmp_path / "seg.dcm", mask, stack, [1, 0], **ALGORITHM)
    volume = hd.seg.segread(path).get_volume(segment_numbers=[4, 5, 6], combine_segments=True, relabel=True)
    volume = volume.match_geometry(hd.VolumeGeometry(affine_lps(stack), (SLICES, ROWS, COLUMNS), "PATIENT"))
    assert np.array_equal(volume.array, mask[..., 0].T)


def affine_lps(stack: CineStack) -> NDArray[np.float64]:
    """Return the affine of the pixel array (slice, row, column)."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ stack.affine
    return lps[:, [2, 1, 0, 3]]


def test_empty_mask_keeps_all_its_frames(stack: CineStack) -> None:
    seg = write(stack, np.zeros(stack.shape, dtype=np.uint8), [0])
    assert seg.NumberOfFrames == 3 * SLICES
    assert not seg.pixel_array.any()


def words_of(dataset: Dataset) -> str:
    """Return all values that somebody wrote: what the software made up (UIDs, the time of writing) is left out."""
    made_up = ("SQ", "UI", "OB", "DA", "TM")
    own = {"PatientBirthDate", "StudyDate", "StudyTime"}
    found = [item for item in dataset.iterall() if item.VR not in made_up or item.keyword in own]
    return "\n".join(str(item.value) for item in found)


def test_patient_is_not_named(stack: CineStack) -> None:
    seg = write(stack, one_voxel())
    text = words_of(seg)
    assert [
        word for word in ("Doe", "ID7", "1970", "A1", "S1", "2020", "101112", "House", "Hospital") if word in text
    ] == []
    assert (seg.PatientName, seg.PatientID, seg.AccessionNumber, seg.StudyDate) == ("", "", "", "")


def test_uids_of_study_and_frame_of_reference_stay(stack: CineStack) -> None:
    seg = write(stack, one_voxel())
    assert (seg.StudyInstanceUID, seg.FrameOfReferenceUID) == (STUDY, FRAME_OF_REFERENCE)
    assert seg.SeriesInstanceUID != "1.2.3.3"


def test_patient_is_named_with_identifiers(stack: CineStack) -> None:
    seg = write(stack, one_voxel(), with_identifiers=True)
    assert (seg.PatientName, seg.PatientID, seg.PatientBirthDate) == ("Doe^Jane", "ID7", "19700101")
    assert (seg.AccessionNumber, seg.StudyDate, seg.StudyDescription) == ("A1", "20200102", "Heart")


@pytest.mark.filterwarnings("error")
def test_uid_that_breaks_the_rules_stays(stack: CineStack, caplog: pytest.LogCaptureFixture) -> None:
    bad = replace(stack.frames[2][3], sop_instance_uid="1.02.x")
    frames = (*stack.frames[:2], (*stack.frames[2][:3], bad))
    path = Path(bad.path).with_name("seg.dcm")
    write_dicom_seg(path, one_voxel(), replace(stack, frames=frames), [3], **ALGORITHM)
    assert b"1.02.x" in path.read_bytes()


def test_no_uid_is_logged(stack: CineStack, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        write(stack, one_voxel(), with_identifiers=True)
    assert "1.2.3" not in caplog.text


def test_mask_of_another_shape_is_refused(stack: CineStack) -> None:
    with pytest.raises(ValueError, match=r"shape of its stack, \(7, 5, 3, 4\), got \(7, 5, 3\)"):
        write(stack, one_voxel()[..., 0])


@pytest.mark.parametrize("value", [4, 1.5, -1])
def test_mask_of_other_values_is_refused(value: float, stack: CineStack) -> None:
    mask = one_voxel().astype(np.float32)
    mask[0, 0, 0, 0] = value
    with pytest.raises(ValueError, match="mask must hold values from 0 to 3, got"):
        write(stack, mask)


@pytest.mark.parametrize("phases", [[], [0, 0], [4], [-1]])
def test_phases_that_are_not_there_are_refused(phases: list[int], stack: CineStack) -> None:
    with pytest.raises(ValueError, match="phases must be different whole numbers from 0 to 3"):
        write(stack, one_voxel(), phases)


def test_image_that_is_gone_is_named(stack: CineStack) -> None:
    Path(stack.frames[0][0].path).unlink()
    with pytest.raises(InputError, match=r"1\.2\.3\.9\.0\.0 can no longer be read as an image"):
        write(stack, one_voxel())


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_images_of_a_scanner_are_named_as_they_are(real_data_dir: Path, tmp_path: Path) -> None:
    """Its UIDs break the rules: components begin with 0."""
    stack = read_cine(sorted((real_data_dir / "sunnybrook" / "dicoms").iterdir())[0])
    mask = np.full(stack.shape, Structure.LV, dtype=np.uint8)
    seg = dcmread(write_dicom_seg(tmp_path / "seg.dcm", mask, stack, [0], **ALGORITHM))
    found = {source_of(frame).ReferencedSOPInstanceUID for frame in seg.PerFrameFunctionalGroupsSequence}
    assert found == {row[0].sop_instance_uid for row in stack.frames}


def tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    assert found is not None, f"{name} must be installed for tests marked dicomtools"
    return found


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stderr


@pytest.mark.dicomtools
@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("with_identifiers", [False, True])
def test_dciodvfy_finds_no_error(kind: str, with_identifiers: bool, tmp_path: Path, mask: NDArray[np.uint8]) -> None:
    path = tmp_path / "seg.dcm"
    write_dicom_seg(path, mask, SOURCES[kind](tmp_path), **ALGORITHM, with_identifiers=with_identifiers)
    report = run(tool("dciodvfy"), str(path))
    assert "Segmentation" in report
    assert [line for line in report.splitlines() if line.startswith("Error")] == []


@pytest.mark.dicomtools
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("kind", SOURCES)
def test_dcmqi_reads_the_same_voxels(kind: str, direction: int, tmp_path: Path, mask: NDArray[np.uint8]) -> None:
    stack = SOURCES[kind](tmp_path, direction)
    path, output = tmp_path / "seg.dcm", tmp_path / "dcmqi"
    write_dicom_seg(path, mask, stack, [0, 3], **ALGORITHM)
    output.mkdir()
    run(tool("segimage2itkimage"), "--inputDICOM", str(path), "--outputDirectory", str(output), "-t", "nrrd")
    found = np.zeros_like(mask)
    for phase, first in ((0, 1), (3, 4)):
        for number in range(first, first + 3):
            paint(found[..., phase], output / f"{number}.nrrd", stack, (number - 1) % 3 + 1)
    assert np.array_equal(found[..., [0, 3]], mask[..., [0, 3]])


def paint(labels: NDArray[np.uint8], file: Path, stack: CineStack, value: int) -> None:
    """Mark the voxels of a binary image, found by their positions in space."""
    if not file.exists():
        return
    image = SimpleITK.ReadImage(str(file))
    to_index = np.linalg.inv(np.diag([-1.0, -1.0, 1.0, 1.0]) @ stack.affine)
    for place in np.argwhere(SimpleITK.GetArrayViewFromImage(image).T):
        point = image.TransformIndexToPhysicalPoint([int(index) for index in place])
        x, y, z = np.round(to_index[:3] @ [*point, 1], 3)
        labels[int(x), int(y), int(z)] = value


@pytest.mark.dicomtools
def test_dcmqi_finds_the_segments(tmp_path: Path, mask: NDArray[np.uint8], stack: CineStack) -> None:
    path = write_dicom_seg(tmp_path / "seg.dcm", mask, stack, [0], **ALGORITHM)
    run(tool("segimage2itkimage"), "--inputDICOM", str(path), "--outputDirectory", str(tmp_path), "-t", "nrrd")
    meta = json.loads((tmp_path / "meta.json").read_text(encoding="utf-8"))
    assert [segment[0]["SegmentLabel"] for segment in meta["segmentAttributes"]] == [
        "RV blood pool, phase 1",
        "LV myocardium, phase 1",
        "LV blood pool, phase 1",
    ]

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from highdicom.sr import MeasurementReport
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage

from pipeline.data.dicom.cine import CineStack, SourceFrame
from pipeline.dicom_objects import codes as own_codes
from pipeline.dicom_objects.seg import write_dicom_seg
from pipeline.dicom_objects.sr import write_structured_report
from pipeline.errors import InputError
from pipeline.labels import Structure
from pipeline.metrics.function import CardiacFunction
from pipeline.metrics.quality import QualityFlag

ALGORITHM = {"algorithm_name": "aspp", "algorithm_version": "1.0"}
SHAPE = (6, 5, 2, 3)

FUNCTION = CardiacFunction(
    lv_ml=(150.0, 100.0, 60.0),
    rv_ml=(160.0, 120.0, 80.0),
    myo_ml=(100.0, 100.0, 100.0),
    ed_phase=0,
    es_phase=2,
    phase_times_ms=None,
    lv_edv_ml=150.0,
    lv_esv_ml=60.0,
    lv_sv_ml=90.0,
    lv_ef_percent=60.0,
    lv_mass_g=105.0,
    rv_edv_ml=160.0,
    rv_esv_ml=80.0,
    rv_sv_ml=80.0,
    rv_ef_percent=50.0,
)
KNOWN_SIZE = replace(
    FUNCTION,
    heart_rate_bpm=70.0,
    lv_cardiac_output_l_min=6.3,
    rv_cardiac_output_l_min=5.6,
    height_cm=180.0,
    weight_kg=80.0,
    body_surface_area_m2=2.0,
    lv_edv_index_ml_m2=75.0,
    lv_esv_index_ml_m2=30.0,
    lv_sv_index_ml_m2=45.0,
    lv_mass_index_g_m2=52.5,
    rv_edv_index_ml_m2=80.0,
    rv_esv_index_ml_m2=40.0,
    rv_sv_index_ml_m2=40.0,
    lv_cardiac_index_l_min_m2=3.15,
)
ONE_PHASE = replace(
    FUNCTION,
    es_phase=0,
    lv_esv_ml=None,
    lv_sv_ml=None,
    lv_ef_percent=None,
    rv_esv_ml=None,
    rv_sv_ml=None,
    rv_ef_percent=None,
)


def write_source(path: Path, sop_class: str, positions: list[list[float]]) -> None:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = sop_class, "1.2.3.9"
    header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = "1.2.3.1", "1.2.3.3", "1.2.3.2"
    header.PatientName, header.PatientID, header.PatientBirthDate = "Doe^Jane", "ID7", "19700101"
    header.AccessionNumber, header.StudyDate = "A1", "20200102"
    header.Rows, header.Columns, header.ImagePositionPatient = SHAPE[1], SHAPE[0], positions[0]
    if len(positions) > 1:
        header.NumberOfFrames = len(positions)
        header.PerFrameFunctionalGroupsSequence = [plane_of(position) for position in positions]
    header.save_as(path, enforce_file_format=True)


def plane_of(position: list[float]) -> Dataset:
    plane, group = Dataset(), Dataset()
    plane.ImagePositionPatient = position
    group.PlanePositionSequence = [plane]
    return group


def make_stack(frames: list[list[SourceFrame]]) -> CineStack:
    return CineStack(
        study_instance_uid="1.2.3.1",
        series_instance_uids=("1.2.3.3",),
        series_description="",
        shape=SHAPE,
        affine=np.diag([-1.25, -1.5, 8.0, 1.0]),
        frames=tuple(map(tuple, frames)),
    )


def classic(folder: Path) -> CineStack:
    """Return a cine of 2 slices and 3 phases; the phases of a slice share a file, as the report reads headers alone."""
    frames = []
    for z in range(SHAPE[2]):
        path = folder / f"source{z}"
        write_source(path, MRImageStorage, [[0, 0, 8 * z]])
        frames.append([SourceFrame(str(path), MRImageStorage, f"1.2.3.9.{z}.{t}") for t in range(SHAPE[3])])
    return make_stack(frames)


def enhanced(folder: Path) -> CineStack:
    path, phases = folder / "source0", SHAPE[3]
    write_source(path, EnhancedMRImageStorage, [[0, 0, 8 * z] for z in range(SHAPE[2]) for _ in range(phases)])
    numbers = np.arange(1, 7).reshape(SHAPE[2:]).tolist()
    frames = [[SourceFrame(str(path), EnhancedMRImageStorage, "1.2.3.9", number) for number in row] for row in numbers]
    return make_stack(frames)


@pytest.fixture
def stack(tmp_path: Path) -> CineStack:
    return classic(tmp_path)


def write_seg(stack: CineStack, phases: list[int]) -> Path:
    mask = np.zeros(stack.shape, dtype=np.uint8)
    mask[1, 1, 0], mask[2, 2, 0], mask[3, 3, 0] = Structure.LV, Structure.MYO, Structure.RV
    return write_dicom_seg(Path(stack.frames[0][0].path).with_name("seg.dcm"), mask, stack, phases, **ALGORITHM)


def write(
    stack: CineStack,
    function: CardiacFunction = FUNCTION,
    flags: list[QualityFlag] | None = None,
    seg_path: Path | None = None,
    **more: Any,
) -> Dataset:
    path = Path(stack.frames[0][0].path).with_name("sr.dcm")
    write_structured_report(path, function, stack, flags or [], seg_path=seg_path, **ALGORITHM, **more)
    return hd.sr.srread(path)


def content(report: Dataset) -> MeasurementReport:
    return report.content


def measurements(report: Dataset) -> dict[tuple[str, str], float]:
    """Return all values by code of the concept and unit."""
    groups = [
        *content(report).get_volumetric_roi_measurement_groups(),
        *content(report).get_image_measurement_groups(),
    ]
    return {(item.name.value, item.unit.value): item.value for group in groups for item in group.get_measurements()}


def texts(report: Dataset) -> list[str]:
    found = hd.sr.utils.find_content_items(report, name=own_codes.COMMENT, recursive=True)
    return [item.TextValue for item in found]


EXPECTED = {
    ("8821-1", "mL"): 150.0,
    ("8823-7", "mL"): 60.0,
    ("90096001", "mL"): 90.0,
    ("8811-2", "%"): 60.0,
    ("18087-7", "g"): 105.0,
    ("8822-9", "mL"): 160.0,
    ("8824-5", "mL"): 80.0,
    ("429483009", "mL"): 80.0,
    ("8818-7", "%"): 50.0,
}
EXPECTED_OF_SIZE = {
    ("8867-4", "{H.B.}/min"): 70.0,
    ("82799009", "L/min"): 6.3,
    ("428628004", "L/min"): 5.6,
    ("8302-2", "cm"): 180.0,
    ("29463-7", "kg"): 80.0,
    ("8277-6", "m2"): 2.0,
    ("8821-1", "mL/m2"): 75.0,
    ("8823-7", "mL/m2"): 30.0,
    ("277381004", "mL/m2"): 45.0,
    ("18087-7", "g/m2"): 52.5,
    ("8822-9", "mL/m2"): 80.0,
    ("8824-5", "mL/m2"): 40.0,
    ("429619008", "mL/m2"): 40.0,
    ("54993008", "L/min/m2"): 3.15,
}


@pytest.mark.parametrize("segmented", [False, True])
def test_numbers_stand_in_it_with_code_and_unit(segmented: bool, stack: CineStack) -> None:
    assert measurements(write(stack, seg_path=write_seg(stack, [0, 2]) if segmented else None)) == EXPECTED


def test_indexed_numbers_stand_in_it_where_the_size_is_known(stack: CineStack) -> None:
    assert measurements(write(stack, KNOWN_SIZE)) == EXPECTED | EXPECTED_OF_SIZE


def test_numbers_that_are_not_known_are_left_out(stack: CineStack) -> None:
    found = measurements(write(stack, ONE_PHASE))
    assert found == {key: EXPECTED[key] for key in [("8821-1", "mL"), ("18087-7", "g"), ("8822-9", "mL")]}


def test_noise_of_floating_point_is_rounded(stack: CineStack) -> None:
    found = measurements(write(stack, replace(FUNCTION, lv_edv_ml=150.12345678)))
    assert found["8821-1", "mL"] == 150.123


def test_index_is_named_as_modifier(stack: CineStack) -> None:
    report = write(stack, KNOWN_SIZE)
    found = hd.sr.utils.find_content_items(report, name=own_codes.LV_EDV, recursive=True)
    modifiers = [
        [(item.name.value, item.value.value) for item in volume.ContentSequence if item.name == own_codes.INDEX]
        for volume in found
    ]
    assert modifiers == [[], [("121425", "8277-6")]]


def test_group_of_a_structure_names_its_segment(stack: CineStack) -> None:
    seg_path = write_seg(stack, [2, 0])
    groups = content(write(stack, seg_path=seg_path)).get_volumetric_roi_measurement_groups()
    segments = dcmread(seg_path).SegmentSequence
    # LV, myocardium and RV at ED (phase 1, written second), LV and RV at ES (phase 3, written first)
    numbers = [int(group.referenced_segment.referenced_segment_numbers[0]) for group in groups]
    assert numbers == [6, 5, 4, 3, 1]
    assert [group.tracking_uid for group in groups] == [segments[number - 1].TrackingUID for number in numbers]


def test_group_of_a_structure_names_the_images_of_its_phase(stack: CineStack) -> None:
    groups = content(write(stack, seg_path=write_seg(stack, [0, 2]))).get_volumetric_roi_measurement_groups()
    images = groups[3].referenced_segment.source_images_for_segmentation
    assert [image.referenced_sop_instance_uid for image in images] == ["1.2.3.9.0.2", "1.2.3.9.1.2"]


def test_without_segmentation_groups_name_images(stack: CineStack) -> None:
    group = content(write(stack)).get_image_measurement_groups()[0]
    assert group.tracking_identifier == "LV blood pool, phase 1"
    assert [image.referenced_sop_instance_uid for image in group.source_images] == ["1.2.3.9.0.0", "1.2.3.9.1.0"]


def test_frames_of_an_enhanced_source_are_named(tmp_path: Path) -> None:
    group = content(write(enhanced(tmp_path))).get_image_measurement_groups()[0]
    (image,) = group.source_images
    assert image.referenced_frame_numbers == [1, 4]


def test_evidence_is_what_it_refers_to(stack: CineStack) -> None:
    seg_path = write_seg(stack, [0, 2])
    (study,) = write(stack, seg_path=seg_path).CurrentRequestedProcedureEvidenceSequence
    found = {
        item.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert study.StudyInstanceUID == "1.2.3.1"
    assert found == {f"1.2.3.9.{z}.{t}" for z in (0, 1) for t in (0, 2)} | {dcmread(seg_path).SOPInstanceUID}


def test_observer_is_the_software(stack: CineStack) -> None:
    (observer,) = content(write(stack)).get_observer_contexts()
    assert observer.observer_type == codes.DCM.Device
    assert observer.observer_identifying_attributes.name == "aspp"


def test_device_is_the_same_for_the_same_version(stack: CineStack) -> None:
    one, other = (content(write(stack)).get_observer_contexts()[0] for _ in range(2))
    assert one.observer_identifying_attributes.uid == other.observer_identifying_attributes.uid


def test_report_is_complete_and_unverified(stack: CineStack) -> None:
    report = write(stack)
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == (
        "COMPLETE",
        "UNVERIFIED",
        "PRELIMINARY",
    )


def test_flags_stand_in_it_as_text(stack: CineStack) -> None:
    flags = [QualityFlag("lv_in_pieces", "The LV has 2 pieces.", phase=1), QualityFlag("ef_low", "EF is 5 %.")]
    assert texts(write(stack, flags=flags)) == ["lv_in_pieces: The LV has 2 pieces. (phase 2)", "ef_low: EF is 5 %."]


def test_without_flags_there_is_no_comment(stack: CineStack) -> None:
    assert texts(write(stack)) == []


def test_patient_is_not_named(stack: CineStack) -> None:
    report = write(stack, seg_path=write_seg(stack, [0, 2]))
    # UIDs and times are made up by the software: any number may stand in them
    items = [item for item in report.iterall() if item.VR not in ("SQ", "UI", "TM", "DT")]
    assert {"PatientName", "PatientBirthDate", "StudyDate", "AccessionNumber"} <= {item.keyword for item in items}
    text = "\n".join(str(item.value) for item in items)
    assert [word for word in ("Doe", "ID7", "1970", "A1", "20200102") if word in text] == []


def test_patient_is_named_with_identifiers(stack: CineStack) -> None:
    report = write(stack, with_identifiers=True)
    assert (report.PatientName, report.PatientID, report.StudyDate) == ("Doe^Jane", "ID7", "20200102")


def test_segmentation_without_the_phase_is_refused(stack: CineStack) -> None:
    with pytest.raises(ValueError, match="must hold the segment 'lv phase 3' that was measured"):
        write(stack, seg_path=write_seg(stack, [0, 1]))


def test_segmentation_of_another_study_is_refused(stack: CineStack) -> None:
    seg_path = write_seg(stack, [0, 2])
    with pytest.raises(ValueError, match="must be a DICOM SEG of the study that was measured"):
        write(replace(stack, study_instance_uid="1.2.3.99"), seg_path=seg_path)


def test_other_object_than_a_segmentation_is_refused(stack: CineStack) -> None:
    with pytest.raises(ValueError, match="must be a DICOM SEG of the study that was measured"):
        write(stack, seg_path=Path(stack.frames[0][0].path))


def test_file_that_is_gone_is_named(stack: CineStack) -> None:
    Path(stack.frames[0][0].path).unlink()
    with pytest.raises(InputError, match="source0 can no longer be read"):
        write(stack)


CODES = {name: value for name, value in vars(own_codes).items() if isinstance(value, Code)}


@pytest.mark.parametrize("name", [name for name, value in CODES.items() if value.scheme_designator != "UCUM"])
def test_code_is_one_of_the_standard_s(name: str) -> None:
    from pydicom.sr._concepts_dict import concepts

    value, scheme, _, _ = CODES[name]
    # of TID 3602 "Cardiovascular Patient Characteristics"; pydicom knows the codes of context groups alone
    of_templates = {"8302-2", "29463-7"}
    assert value in of_templates or any(value in found for found in concepts[scheme].values())


def run(*command: str) -> str:
    tool = shutil.which(command[0]) or shutil.which(command[0], path=str(Path(sys.executable).parent))
    assert tool is not None, f"{command[0]} must be installed for tests marked dicomtools"
    return subprocess.run([tool, *command[1:]], capture_output=True, text=True, check=False, timeout=60).stderr


@pytest.mark.dicomtools
@pytest.mark.parametrize("source", [classic, enhanced])
@pytest.mark.parametrize("segmented", [False, True])
def test_dciodvfy_finds_no_error(segmented: bool, source: Callable[[Path], CineStack], tmp_path: Path) -> None:
    stack = source(tmp_path)
    seg_path = write_seg(stack, [0, 2]) if segmented else None
    flags = [QualityFlag("lv_in_pieces", "The LV has 2 pieces.", phase=1)]
    write(stack, KNOWN_SIZE, flags, seg_path)
    report = run("dciodvfy", str(tmp_path / "sr.dcm"))
    assert "ComprehensiveSR" in report
    assert [line for line in report.splitlines() if line.startswith("Error")] == []

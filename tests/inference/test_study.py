from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread

from pipeline.data.phantom.cine_study import CineStudy
from pipeline.data.phantom.dicom import write_cine_dicom
from pipeline.errors import InputError
from pipeline.inference.source import open_source
from pipeline.inference.study import StudyResult, StudyWriter, extreme_phases, study_options, volumes_ml
from pipeline.metrics.quality import QualityFlag

SHAPE = (24, 20, 4, 6)
VOXEL_ML = 1.4 * 1.6 * 9.0 / 1000
LV_VOXELS = (48, 12, 27, 27, 27, 27)


def heart() -> np.ndarray:
    """LV of 48, 12 and then 27 voxels inside of a myocardium, beside an RV."""
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[6:16, 6:16, 1:3] = 2
    mask[2:6, 6:16, 1:3] = 1
    mask[8:14, 8:12, 1:3, 0] = 3
    mask[9:12, 9:11, 1:3, 1] = 3
    mask[9:12, 9:12, 0:3, 2:] = 3
    return mask


def affine() -> np.ndarray:
    angle = np.deg2rad(35)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag([-1.4, -1.6, 9.0])
    return matrix


@pytest.fixture
def dicom(tmp_path: Path) -> str:
    voxels = (100 + 50 * heart().astype(np.uint16)).astype(np.uint16)
    write_cine_dicom(tmp_path / "in", CineStudy(voxels, affine(), rr_ms=900.0, patient_name="Secret^Name"))
    return str(tmp_path / "in")


@pytest.fixture
def nifti(tmp_path: Path) -> str:
    nib.save(nib.Nifti1Image(100 + 50 * heart().astype(np.int16), affine()), tmp_path / "scan.nii.gz")
    return str(tmp_path / "scan.nii.gz")


def write(tmp_path: Path, image: str, publish: Any = None, case_id: str = "p/a", **settings: Any) -> StudyResult:
    options = study_options(**{"report": False, "dicom_sr": False, "dicom_seg": "none"} | settings)
    return StudyWriter(tmp_path / "out", options, publish)(case_id, 7, open_source(image), heart())


def written(tmp_path: Path) -> list[str]:
    return sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))


def test_numbers_are_those_of_the_mask(tmp_path: Path, nifti: str) -> None:
    function = write(tmp_path, nifti).function
    assert function.lv_ml == pytest.approx([number * VOXEL_ML for number in LV_VOXELS], rel=1e-4)
    # (48 - 12) / 48
    assert (function.ed_phase, function.es_phase, function.lv_ef_percent) == (0, 1, pytest.approx(75.0))


def test_numbers_are_written_by_case(tmp_path: Path, nifti: str) -> None:
    write(tmp_path, nifti)
    assert written(tmp_path) == ["measurements/p/a.json"]
    content = json.loads((tmp_path / "out" / "measurements" / "p" / "a.json").read_text(encoding="utf-8"))
    assert content["case_id"] == "p/a"
    assert content["function"]["lv_ef_percent"] == pytest.approx(75.0)


def test_heart_rate_and_body_come_from_dicom(tmp_path: Path, dicom: str) -> None:
    function = write(tmp_path, dicom).function
    # 60000 / 900; sqrt(170 * 70 / 3600)
    assert function.heart_rate_bpm == pytest.approx(66.67, abs=0.5)
    assert function.body_surface_area_m2 == pytest.approx(1.818, abs=1e-3)


def test_dicom_study_gets_dicom_objects(tmp_path: Path, dicom: str) -> None:
    files = write(tmp_path, dicom, dicom_seg="ed_es", dicom_sr=True).files
    assert files == {
        "measurements": "measurements/p/a.json",
        "dicom_seg": "dicom/p/a_seg.dcm",
        "dicom_sr": "dicom/p/a_sr.dcm",
    }
    assert written(tmp_path) == sorted(files.values())


def test_nifti_gets_no_dicom_objects(tmp_path: Path, nifti: str) -> None:
    assert write(tmp_path, nifti, dicom_seg="all", dicom_sr=True).files == {"measurements": "measurements/p/a.json"}


@pytest.mark.parametrize(("report", "wanted"), [("auto", True), (True, True), ("false", False)])
def test_cine_gets_a_report_unless_told(tmp_path: Path, nifti: str, report: str | bool, wanted: bool) -> None:
    assert ("report" in write(tmp_path, nifti, report=report).files) is wanted


def test_report_carries_the_case_and_its_copy_the_number(tmp_path: Path, nifti: str) -> None:
    published: dict[str, str] = {}
    write(tmp_path, nifti, published.__setitem__, case_id="p/Doe & <b>", report=True)
    page = (tmp_path / "out" / "reports" / "p" / "Doe & <b>.html").read_text(encoding="utf-8")
    (copy,) = published.values()
    assert list(published) == ["reports/scan_007.html"]
    assert "p/Doe &amp; &lt;b&gt;" in page and "Doe" not in copy
    assert "Scan 007" in copy and "Scan 007" not in page


def test_identifiers_stand_in_the_report_only_when_asked_for(tmp_path: Path, dicom: str) -> None:
    for asked in (False, True):
        write(tmp_path, dicom, report=True, with_identifiers=asked)
        page = (tmp_path / "out" / "reports" / "p" / "a.html").read_text(encoding="utf-8")
        assert ("Secret^Name" in page) is asked


def test_report_with_identifiers_is_not_published(tmp_path: Path, dicom: str) -> None:
    published: dict[str, str] = {}
    write(tmp_path, dicom, published.__setitem__, report=True, with_identifiers=True)
    assert published == {}


def test_volumes_come_a_phase_and_a_structure(tmp_path: Path, nifti: str) -> None:
    function = write(tmp_path, nifti).function
    assert [phase["lv"] for phase in volumes_ml(function)] == pytest.approx([n * VOXEL_ML for n in LV_VOXELS], abs=1e-3)
    assert extreme_phases(function) == [0, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"report": "maybe"}, "report must be one of false, auto, true, got 'maybe'"),
        ({"dicom_seg": "es"}, "dicom_seg must be one of none, ed_es, all, got 'es'"),
        ({"dicom_sr": "maybe"}, "dicom_sr must be"),
    ],
)
def test_unknown_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        study_options(**settings)


def one_phase(tmp_path: Path, image: str, **settings: Any) -> tuple[StudyResult, str]:
    """Write a study as a scan of its first phase alone, and return it with the page of its report."""
    options = study_options(report=True, **settings)
    source = open_source(image)
    if source.stack is not None:
        source.stack = replace(
            source.stack,
            shape=(*SHAPE[:3], 1),
            frames=tuple(of_slice[:1] for of_slice in source.stack.frames),
            phase_times_ms=None,
        )
    voxels = source.voxels()[..., :1]
    source.voxels = lambda: voxels  # type: ignore[method-assign]
    study = StudyWriter(tmp_path / "out", options)("a", 1, source, heart()[..., :1])
    return study, (tmp_path / "out" / "reports" / "a.html").read_text(encoding="utf-8")


def test_report_of_one_phase_names_no_phase(tmp_path: Path, nifti: str) -> None:
    study, page = one_phase(tmp_path, nifti)
    assert "The one phase of the scan, base to apex" in page
    assert "LV volume" in page and "phase not known" in page
    assert not any(word in page for word in ("End-diastole", "EDV", "women", "Normal:"))
    assert study.as_dict()["function"]["lv_edv_ml"] is None


def test_one_phase_has_no_structured_report_and_says_so(tmp_path: Path, dicom: str) -> None:
    study, _ = one_phase(tmp_path, dicom, dicom_seg="none", dicom_sr=True)
    assert "dicom_sr" not in study.files
    assert study.repairs[-1].resolution == "no structured report: its measurements are named after phases"


def test_images_of_one_uid_get_no_dicom_objects(tmp_path: Path, dicom: str) -> None:
    for path in Path(dicom).rglob("*.dcm"):
        image = dcmread(path)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        image.save_as(path)
    study = write(tmp_path, dicom, dicom_seg="ed_es", dicom_sr=True)
    assert list(study.files) == ["measurements"]
    assert study.repairs[-1].problem == "24 images share 1 SOP Instance UID"
    assert study.repairs[-1].resolution.startswith("no DICOM SEG and no structured report")


def test_shared_uids_do_not_matter_without_dicom_objects(tmp_path: Path, dicom: str) -> None:
    assert not any("SOP" in repair.problem for repair in write(tmp_path, dicom).repairs)


def test_what_the_prediction_noticed_is_listed_after_the_flags_of_the_mask(tmp_path: Path, nifti: str) -> None:
    noticed = QualityFlag("orientation_unlike_training", "The heart lies turned by 90 degrees.")
    writer = StudyWriter(tmp_path / "out", study_options(report=False))
    usual = writer("a", 1, open_source(nifti), heart()).flags
    assert writer("a", 1, open_source(nifti), heart(), noticed=[noticed]).flags == (*usual, noticed)


def scarred() -> np.ndarray:
    mask = heart()
    mask[6:8, 6, 1] = 4  # of the myocardium, in every phase
    return mask


def test_further_label_has_volumes_and_leaves_the_ventricles_alone(tmp_path: Path, nifti: str) -> None:
    study = StudyWriter(tmp_path / "out", study_options(report=True))("a", 1, open_source(nifti), scarred())
    assert study.further_ml == {"label_4": pytest.approx((2 * VOXEL_ML,) * 6)}
    assert volumes_ml(study.function, study.further_ml)[0]["label_4"] == pytest.approx(2 * VOXEL_ML, abs=1e-3)
    assert study.function.lv_ml == write(tmp_path, nifti).function.lv_ml
    assert "report" in study.files
    assert "Volumes and mass leave out what the mask calls label_4." in [flag.message for flag in study.flags]


def test_dicom_objects_leave_a_further_label_out_and_say_so(tmp_path: Path, dicom: str) -> None:
    options = study_options(report=False)
    study = StudyWriter(tmp_path / "out", options)("a", 1, open_source(dicom), scarred())
    seg = dcmread(tmp_path / "out" / study.files["dicom_seg"])
    assert len(seg.SegmentSequence) == 6  # three structures at ED and ES
    assert study.repairs[-1].problem == "the mask has labels that DICOM objects have no code for (label_4)"
    assert study.repairs[-1].resolution == "left out of them; they are in the mask and segmentation.csv"

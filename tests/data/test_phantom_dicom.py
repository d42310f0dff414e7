"""The phantom as DICOM: valid, and with the geometry, times and patient that it was made with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from pipeline.data.phantom import DICOM_STYLES, CineStudy, make_phantom_cohort, on_dicom_grid, write_cine_dicom
from pipeline.errors import InputError

SHAPE = (6, 5, 3, 4)
SMALL = {"in_plane_size": (88, 96), "in_plane_spacing_mm": (2.0, 2.2), "num_phases": 3}


def oblique_affine() -> NDArray[np.float64]:
    """Columns of length 1.5, 2.5 and 10 mm, at right angles; the third runs against the product of the others."""
    affine = np.eye(4)
    affine[:3, :3] = np.stack([(0.9, 0, -1.2), (0, -2.5, 0), (8.0, 0, 6.0)], axis=1)
    affine[:3, 3] = (10, -20, 30)
    return affine


def make_study(**changes: object) -> CineStudy:
    cine = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    return CineStudy(**({"cine": cine, "affine": oblique_affine(), "rr_ms": 800.0} | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def classic(tmp_path_factory: pytest.TempPathFactory) -> list[pydicom.Dataset]:
    paths = write_cine_dicom(tmp_path_factory.mktemp("classic"), make_study(height_cm=183, weight_kg=76.5))
    return [pydicom.dcmread(path) for path in paths]


@pytest.fixture(scope="module")
def enhanced(tmp_path_factory: pytest.TempPathFactory) -> pydicom.Dataset:
    (path,) = write_cine_dicom(tmp_path_factory.mktemp("enhanced"), make_study(), "enhanced")
    return pydicom.dcmread(path)


def test_classic_cine_is_one_file_an_image_phase_by_phase(classic: list[pydicom.Dataset]) -> None:
    assert len(classic) == 3 * 4
    assert [image.InstanceNumber for image in classic] == list(range(1, 13))
    assert [image.TemporalPositionIdentifier for image in classic[:5]] == [1, 2, 3, 4, 1]


def test_pixels_are_stored_rows_first(classic: list[pydicom.Dataset]) -> None:
    assert (classic[5].Rows, classic[5].Columns) == (5, 6)
    assert np.array_equal(classic[5].pixel_array.T, make_study().cine[:, :, 1, 1])


def test_position_and_orientation_are_those_of_the_affine_in_lps(classic: list[pydicom.Dataset]) -> None:
    image = classic[4]  # second slice: 10 - 8 to the left is -18, -20 to the back is 20, 30 + 6 up
    assert image.ImagePositionPatient == pytest.approx([-18, 20, 36])
    assert image.ImageOrientationPatient == pytest.approx([-0.6, 0, -0.8, 0, 1, 0])


def test_pixel_spacing_is_between_rows_first(classic: list[pydicom.Dataset]) -> None:
    assert classic[0].PixelSpacing == pytest.approx([2.5, 1.5])
    assert classic[0].SpacingBetweenSlices == pytest.approx(10)


def test_phases_share_the_beat_evenly(classic: list[pydicom.Dataset]) -> None:
    assert [image.TriggerTime for image in classic[:4]] == pytest.approx([0, 200, 400, 600])
    assert (classic[0].NominalInterval, classic[0].HeartRate) == (800, 75)


def test_patient_size_is_in_meters(classic: list[pydicom.Dataset]) -> None:
    assert (classic[0].PatientSize, classic[0].PatientWeight) == (1.83, 76.5)


def test_images_share_study_and_frame_of_reference_and_nothing_else(classic: list[pydicom.Dataset]) -> None:
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert len({image[keyword].value for image in classic}) == 1
    assert len({image.SOPInstanceUID for image in classic}) == 12


def test_images_of_two_digit_slices_and_phases_are_told_apart() -> None:
    study = CineStudy(np.zeros((1, 1, 12, 12), dtype=np.uint16), np.eye(4))
    # written one behind the other, slice 1 of phase 11 and slice 11 of phase 1 are both 111
    assert len({study.uid("image", z, phase) for z in range(12) for phase in range(12)}) == 144


def test_each_slice_can_have_its_series(tmp_path: Path) -> None:
    images = [pydicom.dcmread(path) for path in write_cine_dicom(tmp_path, make_study(), "series_a_slice")]
    assert [image.SeriesNumber for image in images] == [1] * 4 + [2] * 4 + [3] * 4
    assert len({image.SeriesInstanceUID for image in images}) == 3


def test_slices_can_be_numbered_backwards(tmp_path: Path) -> None:
    image = pydicom.dcmread(write_cine_dicom(tmp_path, make_study(), slices_backwards=True)[0])
    assert np.array_equal(image.pixel_array.T, make_study().cine[:, :, 2, 0])
    assert image.ImagePositionPatient == pytest.approx([-26, 20, 42])


def test_enhanced_cine_is_one_file_with_a_frame_an_image(enhanced: pydicom.Dataset) -> None:
    assert enhanced.NumberOfFrames == 12
    assert np.array_equal(enhanced.pixel_array[5].T, make_study().cine[:, :, 1, 1])


def test_frames_carry_position_and_time(enhanced: pydicom.Dataset) -> None:
    frame = enhanced.PerFrameFunctionalGroupsSequence[5]
    assert frame.PlanePositionSequence[0].ImagePositionPatient == pytest.approx([-18, 20, 36])
    assert frame.CardiacSynchronizationSequence[0].NominalCardiacTriggerDelayTime == pytest.approx(200)
    assert list(frame.FrameContentSequence[0].DimensionIndexValues) == [2, 2]


def test_equal_studies_give_equal_files(tmp_path: Path) -> None:
    first, second = (write_cine_dicom(tmp_path / name, make_study())[3].read_bytes() for name in "ab")
    assert first == second


@pytest.mark.parametrize("style", DICOM_STYLES)
def test_validator_finds_no_error(tmp_path: Path, style: str) -> None:
    validator = shutil.which("dciodvfy")
    if validator is None:  # of Debian's dicom3tools; pydicom still has to read what was written
        assert pydicom.dcmread(write_cine_dicom(tmp_path, make_study(), style)[-1]).pixel_array.size
        return
    path = write_cine_dicom(tmp_path, make_study(), style)[-1]
    found = subprocess.run([validator, path], capture_output=True, text=True, check=False)
    assert [line for line in (found.stdout + found.stderr).splitlines() if line.startswith("Error")] == []


# The grid of the ground truth


def test_slices_against_the_normal_are_turned_around() -> None:
    study = make_study()
    cine, affine = on_dicom_grid(study.cine, study.affine)
    assert np.array_equal(cine[:, :, 0], study.cine[:, :, 2])
    assert affine @ [1, 2, 0, 1] == pytest.approx(study.affine @ [1, 2, 2, 1])
    assert np.linalg.det(affine[:3, :3]) > 0


def test_slices_along_the_normal_stay() -> None:
    affine = np.diag([1.0, 1.0, 8.0, 1.0])
    assert on_dicom_grid(make_study().cine, affine)[1] is affine


# A cohort


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_phantom_cohort(tmp_path_factory.mktemp("cohort"), 1, write_dicom="classic", write_cine=True, **SMALL)[0]


def test_cohort_writes_a_folder_of_dicom_with_labels_of_every_phase(patient: Path) -> None:
    labels = nib.load(patient / "patient001_dicom_gt.nii.gz")
    assert labels.shape[3] == 3
    assert len(list((patient / "patient001_dicom").glob("IM*.dcm"))) == labels.shape[2] * 3


def test_labels_lie_on_the_grid_of_the_first_image_along_the_normal(patient: Path) -> None:
    images = [pydicom.dcmread(path) for path in sorted((patient / "patient001_dicom").glob("*.dcm"))]
    normal = np.cross(images[0].ImageOrientationPatient[:3], images[0].ImageOrientationPatient[3:])
    first = min(images, key=lambda image: float(np.dot(image.ImagePositionPatient, normal)))
    origin = nib.load(patient / "patient001_dicom_gt.nii.gz").affine[:3, 3]
    assert origin * [-1, -1, 1] == pytest.approx(np.array(first.ImagePositionPatient, dtype=float), abs=1e-3)


def test_dicom_has_the_body_of_info_cfg(patient: Path) -> None:
    image = pydicom.dcmread(patient / "patient001_dicom" / "IM0001.dcm")
    info = (patient / "Info.cfg").read_text(encoding="utf-8")
    assert f"Height: {100 * image.PatientSize:.1f}\n" in info
    assert f"Weight: {image.PatientWeight:.1f}\n" in info


def test_dicom_does_not_change_the_other_files(patient: Path, tmp_path: Path) -> None:
    plain = make_phantom_cohort(tmp_path, 1, write_cine=True, **SMALL)[0]
    for path in plain.iterdir():
        assert path.read_bytes() == (patient / path.name).read_bytes()


# Refusals


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cine": np.zeros((2, 2, 2), np.int16)}, r"cine must be 4D .*, got shape \(2, 2, 2\)"),
        ({"cine": np.full((2, 2, 2, 2), -1, np.int16)}, "values from 0 to 65535, got -1 to -1"),
    ],
)
def test_cine_that_cannot_be_written_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_study(**changes)


def test_unknown_style_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="style must be one of classic, series_a_slice, enhanced, got 'mosaic'"):
        write_cine_dicom(tmp_path, make_study(), "mosaic")


def test_cohort_of_unknown_style_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"write_dicom must be one of .*, got 'mosaic'"):
        make_phantom_cohort(tmp_path / "cohort", write_dicom="mosaic")
    assert not (tmp_path / "cohort").exists()

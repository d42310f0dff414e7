from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.check import CheckReport, check_dataset, check_directory, format_report
from pipeline.errors import InputError

SHAPE = (10, 9, 3)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 1000, SHAPE, dtype=np.int16)


def lines(report: CheckReport) -> list[tuple[str, str, str]]:
    return [(problem.severity, problem.case_id, problem.message) for problem in report.problems]


@pytest.mark.parametrize(("name", "cases"), [("acdc", 4), ("mnms", 2), ("decathlon", 2), ("folder", 3)])
def test_each_layout_is_checked_with_its_own_label_map(name: str, cases: int, request: pytest.FixtureRequest) -> None:
    report = check_directory(request.getfixturevalue(f"{name}_dir"))
    assert report.errors == []
    assert len(report.cases) == cases


def test_wrong_label_map_shows(mnms_dir: Path) -> None:
    report = check_directory(mnms_dir, label_map="acdc")
    assert {problem.message[:23] for problem in report.warnings if "A0S9V9_" in problem.case_id} == {
        "LV and RV look swapped:"
    }


def test_all_problems_come_at_once(acdc_dir: Path, nifti) -> None:
    (acdc_dir / "patient001" / "patient001_frame01_gt.nii.gz").unlink()
    nifti(acdc_dir / "patient001" / "patient001_frame12.nii.gz", np.full(SHAPE, np.nan))
    (acdc_dir / "patient002" / "patient002_frame01.nii.gz").write_bytes(b"broken")
    nifti(acdc_dir / "patient002" / "patient002_frame12_gt.nii.gz", np.full(SHAPE, 5, dtype=np.uint8))
    assert [(case, message.split(":")[0]) for _, case, message in lines(check_directory(acdc_dir))] == [
        ("patient001_ed", "image without label patient001_frame01_gt.nii.gz"),
        ("patient001_es", "270 NaN and 0 infinite of 270 voxels"),
        ("patient002_ed", "the file cannot be read"),
        ("patient002_es", "label values outside the label map"),
    ]


def test_wrong_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.mha").touch()
    with pytest.raises(InputError, match=r"holds scan.mha\. Expected a data set"):
        check_directory(tmp_path)


def test_unknown_label_map_is_refused(acdc_dir: Path) -> None:
    with pytest.raises(InputError, match=r"one of .*, got 'acd'"):
        check_directory(acdc_dir, label_map="acd")


def test_errors_come_before_warnings(write_case) -> None:
    empty = np.zeros(SHAPE, dtype=np.uint8)
    report = check_dataset(
        [write_case("a_ed", noise(1), empty), write_case("b_ed", np.zeros(SHAPE, dtype=np.int16))], "acdc"
    )
    assert [severity for severity, _, _ in lines(report)] == ["error", "warning"]
    assert (len(report.errors), len(report.warnings)) == (1, 1)


def test_number_of_threads_does_not_matter(acdc_dir: Path) -> None:
    patient = acdc_dir / "patient001"
    shutil.copy(patient / "patient001_frame01.nii.gz", patient / "patient001_frame12.nii.gz")
    one, four = (check_directory(acdc_dir, num_workers=number) for number in (1, 4))
    assert one.problems == four.problems
    assert one.cases.equals(four.cases)


def test_duplicate_image_is_a_warning(write_case) -> None:
    items = [write_case("a_ed", noise(1)), write_case("b_ed", noise(2)), write_case("c_ed", noise(1))]
    message = "duplicate image: same size and intensities as a_ed"
    assert lines(check_dataset(items, "acdc")) == [("warning", "c_ed", message)]


def test_2d_image_among_3d_images_is_an_error(write_case, tmp_path: Path) -> None:
    Image.fromarray(np.arange(90, dtype=np.uint8).reshape(9, 10)).save(tmp_path / "flat.png")
    flat = {"image": str(tmp_path / "flat.png"), "patient_id": "flat", "case_id": "flat"}
    items = [write_case("a_ed", noise(1)), write_case("b_ed", noise(2)), flat]
    assert lines(check_dataset(items, "acdc")) == [("error", "flat", "the image is 2D among 3D images")]


def test_lv_larger_at_es_than_at_ed_is_a_warning(write_case) -> None:
    """Voxels of 0.02016 mL: 12 of the LV at ED, 75 at ES, so 0 and 2 mL after rounding."""
    large = np.zeros(SHAPE, dtype=np.uint8)
    large[1:8, 1:8], large[2:7, 2:7], large[8:, :] = 2, 3, 1
    items = [write_case("a_ed", noise(1)), write_case("a_es", noise(2), large)]
    message = "the LV is larger at ES (2 mL) than at ED (0 mL)"
    assert lines(check_dataset(items, "acdc")) == [("warning", "a_es", message)]


def test_no_cases_make_an_empty_report() -> None:
    assert "0 cases of 0 patients" in format_report(check_dataset([], "acdc"))


def test_progress_bar_goes_to_stderr(write_case, capsys: pytest.CaptureFixture[str]) -> None:
    check_dataset([write_case()], "acdc", progress=True)
    captured = capsys.readouterr()
    assert "1/1" in captured.err
    assert captured.out == ""


def test_text_of_a_sound_data_set(acdc_dir: Path) -> None:
    text = format_report(check_directory(acdc_dir))
    assert "(acdc): 4 cases of 2 patients read in" in text
    assert "no errors, no warnings" in text
    assert "Groups (patients): DCM 1, NOR 1\nPhases (cases): ed 2, es 2" in text
    assert ["spacing", "z,", "mm", "9", "9", "9"] in [line.split() for line in text.splitlines()]
    assert text.endswith("Ready for training.")


def test_text_names_file_and_way_out(write_case) -> None:
    item = write_case(image=np.full(SHAPE, 7, dtype=np.int16))
    text = format_report(check_dataset([item], "acdc"))
    assert f"  patient001_ed: the image is constant: every voxel is 7\n      {item['image']}\n    -> Export" in text
    assert text.endswith("Training would fail: mend the errors first.")


def test_text_lists_the_cases_of_a_common_problem_once(write_case) -> None:
    empty = np.zeros(SHAPE, dtype=np.uint8)
    items = [write_case(f"{name}_ed", noise(seed), empty) for seed, name in enumerate("abc")]
    text = format_report(check_dataset(items, "acdc"))
    assert (
        f"Warnings (3):\n  3 cases: the label is empty\n      a_ed, b_ed, c_ed\n      first file: {items[0]['label']}"
        in text
    )


@pytest.mark.realdata
def test_acdc_training_set_has_no_errors(real_data_dir: Path) -> None:
    report = check_directory(real_data_dir / "acdc" / "training")
    assert report.errors == []
    assert len(report.cases) == 200

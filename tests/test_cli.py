"""The command line: what it prints, and the exit status that scripts go by."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipeline import __version__
from pipeline.cli import main
from pipeline.data.datalist import FORMATS
from pipeline.inference.results import CohortResult, ScanResult
from pipeline.metrics import measure_case, summarize


def write_pair(dataset_dir: Path, side: str, name: str, labels: list[int]) -> None:
    """Write a scan and its mask, in which each label has one slice, on an oblique grid of 1.5 x 1.5 x 8 mm."""
    mask = np.zeros((12, 10, 6), dtype=np.uint8)
    for place, label in enumerate(labels):
        mask[3:9, 3:9, place] = label
    image = np.random.default_rng(len(name)).random(mask.shape, dtype=np.float32)
    turn = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([1.5, 1.5, 8.0])
    for folder, array in (("images", image), ("masks", mask)):
        path = dataset_dir / side / folder / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, affine), path)


@pytest.fixture
def dataset_dir(tmp_path: Path) -> Path:
    write_pair(tmp_path, "train", "anna", labels=[1, 2, 3])
    write_pair(tmp_path, "val", "bruno", labels=[1, 2, 3])
    return tmp_path


def run_module(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "pipeline", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def test_module_shows_examples_of_every_command() -> None:
    done = run_module("--help")
    assert done.returncode == 0
    for command in ("data check", "data phantom", "summary"):
        assert f"python -m pipeline {command} " in done.stdout


def test_help_needs_no_heavy_library() -> None:
    code = "import sys, pipeline.cli; print(sorted({'torch', 'monai', 'mlflow', 'pandas', 'numpy'} & set(sys.modules)))"
    assert run_module(code=code).stdout.strip() == "[]"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("words", [[], ["data"], ["data", "check"], ["data", "phantom", "x", "--num_patients", "many"]])
def test_incomplete_command_shows_the_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "usage: python -m pipeline" in capsys.readouterr().err


def test_help_of_check_names_every_data_format(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["data", "check", "--help"])
    shown = capsys.readouterr().out
    assert [name for name in FORMATS if name not in shown] == []


def test_check_of_a_good_data_set_is_a_success(dataset_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(dataset_dir)]) == 0
    assert "2 cases of 2 patients" in capsys.readouterr().out


def test_check_of_a_data_set_with_errors_fails(dataset_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pair(dataset_dir, "val", "clara", labels=[1, 2, 3])
    (dataset_dir / "val" / "masks" / "bruno.nii.gz").unlink()
    assert main(["data", "check", str(dataset_dir)]) == 1
    assert "bruno" in capsys.readouterr().out


def test_check_takes_a_mapping_with_further_labels(dataset_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(dataset_dir), "--label_map", "{1: 1, 2: 2, 3: 3, 4: 4}"]) == 0
    assert "LABEL_4" in capsys.readouterr().out


@pytest.mark.parametrize("label_map", ["{1: 1", "acd"])
def test_check_refuses_what_is_no_label_map(
    dataset_dir: Path, capsys: pytest.CaptureFixture[str], label_map: str
) -> None:
    assert main(["data", "check", str(dataset_dir), "--label_map", label_map]) == 2
    assert f"got '{label_map}'" in capsys.readouterr().err


def test_check_obeys_the_label_map(dataset_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pair(dataset_dir, "train", "clara", labels=[200, 100])
    assert main(["data", "check", str(dataset_dir), "--data_format", "folder", "--label_map", "acdc"]) == 1
    assert "clara" in capsys.readouterr().out


def test_input_error_is_a_message_without_a_stack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(tmp_path / "nowhere")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: dataset_dir ")
    assert "nowhere' does not exist" in captured.err


def test_phantom_makes_as_many_patients_as_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "phantom", str(tmp_path / "cohort"), "--num_patients", "2"]) == 0
    assert sorted(path.name for path in (tmp_path / "cohort").glob("patient*")) == ["patient001", "patient002"]
    assert list((tmp_path / "cohort").glob("*/*_4d.nii.gz")) == []
    assert f"2 phantom patients to {tmp_path / 'cohort'}" in capsys.readouterr().out


def test_phantom_writes_the_beat_on_request(tmp_path: Path) -> None:
    main(["data", "phantom", str(tmp_path), "--num_patients", "1", "--cine"])
    assert nib.load(tmp_path / "patient001" / "patient001_4d.nii.gz").ndim == 4


@pytest.fixture
def output_dir(tmp_path: Path) -> Path:
    """Make what an evaluation leaves: one case, of whose RV one of two voxels was found."""
    label, pred = np.array([[1, 1, 2, 2, 3, 3]]), np.array([[1, 0, 2, 2, 3, 3]])
    row = measure_case(pred, label, spacing_mm=(1.5, 1.5), surface=False)
    (tmp_path / "summary.json").write_text(json.dumps(summarize([row])), encoding="utf-8")
    return tmp_path


def test_summary_shows_the_dice_of_each_structure(output_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", str(output_dir)]) == 0
    lines = capsys.readouterr().out.splitlines()
    # RV: 2 * 1 common voxel / (1 predicted + 2 labeled)
    assert [line.split()[:4] for line in lines if line.startswith(("RV", "MYO", "LV"))] == [
        ["RV", "all", "1", "0.667"],
        ["MYO", "all", "1", "1.000"],
        ["LV", "all", "1", "1.000"],
    ]


def test_summary_names_the_files_and_what_is_not_there(output_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlays = ("segmented/overlays/p001.png", "segmented/overlays/p002.png")
    for name in ("models/last.pt", "models/model.pt", *overlays, "phantom/p001.nii.gz"):
        (output_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (output_dir / name).touch()
    main(["summary", str(output_dir)])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert f"best weights      {output_dir / 'models' / 'model.pt'}" in lines
    assert f"overlay pictures  {output_dir / 'segmented' / 'overlays' / 'p001.png'} and 1 more" in lines
    assert "masks             none" in lines


def test_summary_finds_the_masks_of_an_inference(output_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scans = (ScanResult("a", "a.nii.gz", reason="unreadable"), ScanResult("b", "b.nii.gz", output="b.nii.gz"))
    (output_dir / "segmented").mkdir()
    CohortResult(output_dir / "segmented", scans).write()
    main(["summary", str(output_dir)])
    assert f"  masks             {output_dir / 'segmented' / 'b.nii.gz'}\n" in capsys.readouterr().out


def test_summary_of_an_inference_lists_its_studies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    CohortResult(tmp_path, (ScanResult("b", "b.nii.gz", reason="unreadable"),)).write()
    assert main(["summary", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "study  LV EDV mL" in shown and "failed: unreadable" in shown
    assert f"numbers a study   {tmp_path / 'studies.csv'}" in shown


def test_summary_tells_how_to_see_the_runs(output_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["summary", str(output_dir), "--tracking_uri", "sqlite:///runs.db"])
    assert f"ui --backend-store-uri sqlite:///{Path('runs.db').absolute().as_posix()}" in capsys.readouterr().out


def test_summary_of_a_folder_without_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", str(tmp_path)]) == 2
    assert f"got '{tmp_path}': it has no summary.json" in capsys.readouterr().err


def test_summary_that_is_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "summary.json").write_text("{", encoding="utf-8")
    assert main(["summary", str(tmp_path)]) == 2
    assert "summary.json is damaged" in capsys.readouterr().err


def test_dicom_lists_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "phantom", str(tmp_path), "--num_patients", "1", "--dicom"])
    assert main(["data", "dicom", str(tmp_path)]) == 0
    assert "short-axis cine" in capsys.readouterr().out
    assert main(["data", "dicom", str(tmp_path), "--series", "77"]) == 1
    assert "series must be a series number" in capsys.readouterr().out


def test_dicom_of_a_folder_without_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "dicom", str(tmp_path)]) == 2
    assert "holds no DICOM image" in capsys.readouterr().err

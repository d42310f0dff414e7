"""The three commands of the README, from the root of the repository and from elsewhere."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from pydicom import dcmread

FindRuns = Callable[[Path], list[Run]]

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "cardiac_sax_segmentation"
PLACES = ("root_use", "elsewhere_use")
STRUCTURES = ("rv", "myo", "lv")
# what belongs to the voxels, not to the grid or the patient
VOXEL_FIELDS = {"datatype", "bitpix", "cal_max", "cal_min", "scl_slope", "scl_inter", "vox_offset", "magic"}


@pytest.fixture(params=PLACES)
def use(request: pytest.FixtureRequest) -> Any:
    """What the commands of one place left."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def run_of(use: Any, find_runs: FindRuns) -> Callable[[str], Run]:
    """Find the one MLflow run of a job among those of ``use``."""

    def find(job: str) -> Run:
        folders = {"training": use.trained_dir, "evaluating": use.evaluated_dir, "inference": use.segmented_dir}
        (run,) = [run for run in find_runs(folders[job]) if run.data.tags["job"] == job]
        return run

    return find


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def artifacts(uri: str, run: Run, folder: str) -> set[str]:
    return {Path(item.path).name for item in MlflowClient(uri).list_artifacts(run.info.run_id, folder)}


def matching(names: set[str], pattern: str) -> set[str]:
    return set(fnmatch.filter(names, pattern))


def steps(uri: str, run: Run, metric: str) -> list[int]:
    return sorted(item.step for item in MlflowClient(uri).get_metric_history(run.info.run_id, metric))


@pytest.mark.parametrize("command", ["training", "evaluating"])
def test_command_succeeds(use: Any, command: str) -> None:
    result = getattr(use, command)
    assert result.returncode == 0, result.stderr
    assert "Compare the runs: " in result.stdout


def test_inference_succeeds(root_use: Any) -> None:
    assert root_use.inference.returncode == 0, root_use.inference.stderr
    assert "Segmented 3 scans" in root_use.inference.stdout


def test_log_of_a_training_has_a_line_an_epoch_and_no_bar(root_use: Any) -> None:
    assert "best_dice=" not in root_use.training.stderr
    assert [f"Epoch {epoch}/2: loss" in root_use.training.stdout for epoch in (1, 2)] == [True, True]


def test_no_warning_of_our_own_code(use: Any) -> None:
    assert "/pipeline/" not in use.training.stderr + use.evaluating.stderr + use.inference.stderr


def test_training_leaves_its_files(use: Any) -> None:
    files = {path.relative_to(use.trained_dir).as_posix() for path in use.trained_dir.rglob("*") if path.is_file()}
    pictures = matching(files, "overlays/*_patient002_e?.png")
    assert sorted(name[9:14] for name in pictures) == ["best_", "worst"]
    tables = {"metrics.csv", "volumes.csv", "summary.json", "report.html"}
    state = {"models/last.pt", "models/model.pt", "split.json", "training.json", "validation.jsonl", ".lock"}
    assert files - pictures == state | tables


def test_best_weights_are_a_plain_state_dict(use: Any) -> None:
    weights = torch.load(use.trained_dir / "models" / "model.pt", weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in weights.values())
    assert weights["head.weight"].shape == (4, 8, 1, 1)


def test_split_is_written(root_use: Any) -> None:
    split = read_json(root_use.trained_dir / "split.json")
    assert {side: len(cases) for side, cases in split.items()} == {"train": 8, "val": 2}


def test_metrics_have_a_row_a_case(use: Any) -> None:
    rows = pd.read_csv(use.evaluated_dir / "metrics.csv")
    assert list(rows["case_id"]) == ["patient002_ed", "patient002_es"]
    assert rows["mean_dice"].between(0, 1, inclusive="neither").all()


def test_evaluation_finds_what_the_training_found(elsewhere_use: Any) -> None:
    trained, evaluated = (
        read_json(folder / "summary.json") for folder in (elsewhere_use.trained_dir, elsewhere_use.evaluated_dir)
    )
    assert evaluated == trained


@pytest.mark.parametrize("job", ["training", "evaluating"])
def test_run_is_finished_with_the_config_as_parameters(run_of: Callable[[str], Run], job: str) -> None:
    run = run_of(job)
    assert run.info.status == "FINISHED"
    wanted = {"max_epochs": "2", "network_def.dilations": "[2, 4]", "train.trainer.max_epochs": "2"}
    assert {key: run.data.params[key] for key in wanted} == wanted


def test_runs_of_inference_are_on_record(use: Any, run_of: Callable[[str], Run]) -> None:
    run = run_of("inference")
    assert run.info.status == ("FAILED" if use.inference.returncode else "FINISHED")
    assert run.data.metrics["num_scans"] == 3


def test_training_is_recorded_by_iteration_and_by_epoch(run_of: Callable[[str], Run], tracking_uri: str) -> None:
    run = run_of("training")
    for metric in ("train_loss", "learning_rate"):
        assert steps(tracking_uri, run, metric) == list(range(1, 41))
    figures = [f"val_{name}_{structure}" for name in ("dice", "iou", "hd95_mm") for structure in STRUCTURES]
    for metric in ("train_loss_epoch", "epoch_seconds", "val_mean_dice", *figures):
        assert steps(tracking_uri, run, metric) == [1, 2], metric


def test_training_records_what_it_was_made_of(run_of: Callable[[str], Run]) -> None:
    tags = run_of("training").data.tags
    assert len(tags["dataset_digest"]) == 64
    assert (tags["num_train_cases"], tags["num_val_cases"]) == ("8", "2")
    assert tags["mlflow.runName"].startswith("training-")


def test_training_records_files(run_of: Callable[[str], Run], tracking_uri: str) -> None:
    run = run_of("training")
    assert artifacts(tracking_uri, run, "models") == {"model.pt"}
    assert artifacts(tracking_uri, run, "inputs") == {"config.yaml", "split.json"}
    evaluation = artifacts(tracking_uri, run, "evaluation")
    pictures = matching(evaluation, "*_patient002_e?.png")
    assert len(pictures) == 2
    assert evaluation - pictures == {"metrics.csv", "volumes.csv", "summary.json", "report.html"}


def test_evaluation_records_figures_and_files(run_of: Callable[[str], Run], tracking_uri: str) -> None:
    run = run_of("evaluating")
    assert run.data.metrics["val_mean_dice"] == pytest.approx(run_of("training").data.metrics["best_mean_dice"])
    assert {"metrics.csv", "summary.json"} <= artifacts(tracking_uri, run, "evaluation")


def test_config_on_record_is_the_merged_one(run_of: Callable[[str], Run], tracking_uri: str, tmp_path: Path) -> None:
    path = MlflowClient(tracking_uri).download_artifacts(run_of("training").info.run_id, "inputs/config.yaml", tmp_path)
    config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    assert config["label_map"] == "acdc"
    assert config["train"]["dataset"]["window_size"] == [56, 56]


@pytest.mark.parametrize("name", ["visit 1/stack a.nii.gz", "cine.nii"])
def test_mask_lies_on_the_grid_of_its_scan(use: Any, name: str) -> None:
    scan, mask = (nib.load(folder / name) for folder in (use.scans_dir, use.segmented_dir))
    assert mask.get_data_dtype() == np.uint8
    assert mask.shape == scan.shape
    np.testing.assert_array_equal(mask.affine, scan.affine)
    differing = {key for key in scan.header if not np.array_equal(scan.header[key], mask.header[key])}
    assert differing <= VOXEL_FIELDS


def test_masks_hold_structures(root_use: Any) -> None:
    mask = np.asarray(nib.load(root_use.segmented_dir / "cine.nii").dataobj)
    assert set(np.unique(mask)) <= {0, 1, 2, 3}
    assert (mask > 0).any(axis=(0, 1, 2)).tolist() == [True, True]


def test_dicom_study_gets_mask_objects_and_report(root_use: Any) -> None:
    out = root_use.segmented_dir
    assert nib.load(out / "scanner.nii.gz").shape[3] == 6
    assert dcmread(out / "dicom" / "scanner_seg.dcm").Modality == "SEG"
    assert dcmread(out / "dicom" / "scanner_sr.dcm").Modality == "SR"
    assert "scanner" in (out / "reports" / "scanner.html").read_text(encoding="utf-8")


def test_studies_have_a_row_with_their_numbers(root_use: Any) -> None:
    rows = pd.read_csv(root_use.segmented_dir / "studies.csv").set_index("case_id")
    assert set(rows.index) == {"cine", "scanner", "visit 1/stack a"}
    assert rows.loc["scanner", "body_surface_area_m2"] == pytest.approx(1.82, abs=0.01)
    assert rows.loc["scanner", "lv_edv_ml"] >= rows.loc["scanner", "lv_esv_ml"]


def test_reports_go_to_mlflow_without_names(
    root_use: Any, find_runs: FindRuns, tracking_uri: str, tmp_path: Path
) -> None:
    (run,) = find_runs(root_use.segmented_dir)
    folder = Path(MlflowClient(tracking_uri).download_artifacts(run.info.run_id, "", tmp_path))
    pages = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*.html")}
    assert set(pages) == {"report.html", "reports/scan_001.html", "reports/scan_002.html"}
    assert not any("scanner" in page or "cine.nii" in page for page in pages.values())


def test_folder_of_the_scans_is_not_on_record(use: Any, run_of: Callable[[str], Run], tracking_uri: str) -> None:
    run = run_of("inference")
    environment = Path(MlflowClient(tracking_uri).download_artifacts(run.info.run_id, "environment.json"))
    record = f"{run.data.params} {run.data.tags} {environment.read_text(encoding='utf-8')}"
    assert str(use.scans_dir) not in record


def test_name_of_the_patient_is_nowhere(root_use: Any) -> None:
    files = [path for path in root_use.segmented_dir.rglob("*") if path.is_file()]
    assert [path.name for path in files if b"Secret" in path.read_bytes()] == []
    assert "Secret" not in root_use.inference.stdout + root_use.inference.stderr


def test_overlays_are_drawn_on_request(root_use: Any, elsewhere_use: Any) -> None:
    assert (root_use.segmented_dir / "overlays" / "visit 1" / "stack a.png").is_file()
    assert list(elsewhere_use.segmented_dir.rglob("*.png")) == []


def test_nothing_is_written_into_the_bundle(elsewhere_use: Any, elsewhere: Any) -> None:
    copied = {path.relative_to(elsewhere.bundle) for path in elsewhere.bundle.rglob("*") if path.is_file()}
    assert copied == {path.relative_to(BUNDLE) for path in BUNDLE.rglob("*") if path.is_file()}

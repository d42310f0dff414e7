"""What users get wrong ends within seconds in an error that names it, before anything is written."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.dummy import DummyProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from mlflow.entities import Run

from pipeline.errors import InputError, input_error_within
from pipeline.networks import ASPPNet

pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")

SCAN, LABEL = ("patient004/patient004_frame01.nii.gz", "patient004/patient004_frame01_gt.nii.gz")

RunBundle = Callable[..., None]


@contextmanager
def refused(message: str) -> Iterator[None]:
    """Expect an exception whose innermost InputError fits."""
    with pytest.raises((RuntimeError, InputError)) as caught:
        yield
    assert re.search(message, str(input_error_within(caught.value)))


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def data(cohort: Path, tmp_path: Path) -> Path:
    """A copy of the cohort, to spoil."""
    return shutil.copytree(cohort, tmp_path / "data")


@pytest.fixture
def no_caching(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.data.cache.cache_dataset", lambda *_, **__: pytest.fail("caching has begun"))


def change(path: Path, edit: Callable[[np.ndarray], np.ndarray], shift_mm: float = 0.0) -> None:
    image = nib.load(path)
    affine = image.affine.copy()
    affine[0, 3] += shift_mm
    nib.save(nib.Nifti1Image(edit(np.asarray(image.dataobj)), affine), path)


def with_nan(voxels: np.ndarray) -> np.ndarray:
    spoiled = voxels.astype(np.float32)
    spoiled[3, 4, 1] = np.nan
    return spoiled


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: (data / LABEL).unlink(), "patient004_frame01"),
        (lambda data: change(data / LABEL, lambda label: label[:-1]), r"(?s)frame01_gt.*must have the same shape"),
        (lambda data: change(data / LABEL, np.copy, shift_mm=5), r"(?s)frame01_gt.*must have the same affine"),
        (lambda data: change(data / LABEL, lambda label: label + 5), r"frame01_gt.* must hold the values .* got 5"),
        (lambda data: cut_off(data / SCAN), r"frame01\.nii\.gz cannot be read: .*cut off"),
        (lambda data: cut_off(data / LABEL), r"frame01_gt\.nii\.gz cannot be read: .*cut off"),
        (lambda data: change(data / SCAN, with_nan), r"frame01\.nii\.gz holds 1 NaN or infinite value"),
        (lambda data: change(data / SCAN, np.zeros_like), r"frame01\.nii\.gz is constant"),
        (lambda data: change(data / SCAN, lambda scan: np.stack([scan, scan], -1)), "is 4D where 3D is needed"),
        (lambda data: [shutil.rmtree(data / f"patient00{i}") for i in (1, 2, 3)], "2 patient.* too few for 5 folds"),
        (lambda data: shutil.rmtree(data) or data.mkdir(), "dataset_dir '.*data' is empty"),
    ],
    ids=[
        *("no label", "other shape", "other affine", "other values", "truncated scan", "truncated label"),
        *("nan", "constant", "4d", "few patients", "empty"),
    ],
)
def test_data_set_with_a_fault(
    run_bundle: RunBundle, data: Path, tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(data)
    with refused(message):
        run_bundle(dataset_dir=str(data))
    assert files_in(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_epoch": 3}, "unknown setting 'max_epoch': .* Did you mean 'max_epochs'"),
        ({"train#trainer#max_epoch": 3}, "'train#trainer#max_epoch': .* Did you mean 'max_epochs'"),
        ({"network_def#dilation": [2]}, "'network_def#dilation': .* Did you mean 'dilations'"),
        ({"num_folds": 6}, r"5 patient\(s\) are too few for 6 folds"),
        ({"fold": 5}, "fold must be from 0 to num_folds - 1 = 4, got 5"),
        ({"batch_size": 1000}, r"batch_size 1000 exceeds the \d+ slices of an epoch"),
        ({"resume": "true"}, r"there is no checkpoint .*last\.pt"),
        ({"resume": "perhaps"}, "resume must be true, false or auto, got 'perhaps'"),
        ({"record": "perhaps"}, "record must be true or false, got 'perhaps'"),
        ({"max_epochs": "three"}, "max_epochs must be a whole number of at least 1, got 'three'"),
        ({"seed": "abc"}, "seed must be a whole number of at least 0 and at most 4294967295, got 'abc'"),
        ({"device": "cuda:77"}, r"device must be one of this machine, .* got 'cuda:77'"),
        ({"cache_device": "cuda:77"}, r"cache_device must be one of this machine, .* got 'cuda:77'"),
        ({"cache_device": "meta", "num_workers": 2}, "num_workers must be 0 where cache_device is meta"),
        ({"network_def#out_channels": 3}, r"network_def#out_channels must be at least 4, .* got 3"),
        ({"label_map": "acdcc"}, "acdcc"),
        ({"record": True, "tracking_uri": "http://127.0.0.1:9"}, r"http://127\.0\.0\.1:9 does not answer"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_setting_that_does_not_fit(
    run_bundle: RunBundle, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with refused(message):
        run_bundle(**settings)
    assert files_in(tmp_path / "out") == []


def test_error_while_caching_leaves_no_thread_at_work(run_bundle: RunBundle, data: Path) -> None:
    cut_off(data / SCAN)
    with refused("cannot be read"):
        run_bundle(dataset_dir=str(data))
    # the interpreter aborts (SIGABRT instead of status 1) if it ends before such a thread
    assert [thread for thread in threading.enumerate() if isinstance(thread, DummyProcess)] == []


def test_folder_above_the_data_set(run_bundle: RunBundle, cohort: Path) -> None:
    with refused(rf"(?s){cohort.parent.name}.*training"):
        run_bundle(dataset_dir=str(cohort.parent))


def test_run_that_cannot_start_is_not_on_record(
    run_bundle: RunBundle, tmp_path: Path, tracking_uri: str, find_runs: Callable[[Path], list[Run]]
) -> None:
    with refused("too few for 6 folds"):
        run_bundle(num_folds=6, record=True, tracking_uri=tracking_uri)
    assert find_runs(tmp_path / "out") == []


@pytest.mark.usefixtures("no_caching")
@pytest.mark.parametrize(
    "settings", [{"roi_size": [8, 48]}, {"network_def#dilations": [2, 30]}], ids=["roi", "dilation"]
)
def test_window_that_is_too_small_for_the_network_is_found_before_caching(
    run_bundle: RunBundle, tmp_path: Path, settings: dict[str, Any]
) -> None:
    with refused(r"roi_size must be at least \[\d+, \d+\] pixels .* got \[\d+, 48\]"):
        run_bundle(**settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("files", [("train", "acdc.yaml"), ("train", "evaluate"), ("inference",)])
def test_file_in_the_place_of_the_output_folder(run_bundle: RunBundle, tmp_path: Path, files: tuple[str, ...]) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with refused(r"output_dir .*out cannot be written"):
        run_bundle("run", *files)
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


@pytest.mark.usefixtures("no_caching")
@pytest.mark.parametrize("files", [("train", "evaluate", "acdc.yaml"), ("inference",)], ids=["evaluate", "inference"])
def test_weights_of_another_network(run_bundle: RunBundle, tmp_path: Path, files: tuple[str, ...]) -> None:
    path = tmp_path / "model.pt"
    torch.save(ASPPNet(channels=[4, 8], strides=[1, 2], num_res_units=[1, 1]).state_dict(), path)
    with refused(r"model\.pt holds the weights of another network than ASPPNet: \d+ of \d+ entries differ \(aspp\."):
        run_bundle("evaluating", *files, ckpt_path=str(path))
    assert files_in(tmp_path / "out") == []


@pytest.mark.usefixtures("no_caching")
@pytest.mark.parametrize("files", [("train", "evaluate", "acdc.yaml"), ("inference",)], ids=["evaluate", "inference"])
def test_network_without_a_channel_for_each_structure(run_bundle: RunBundle, files: tuple[str, ...]) -> None:
    with refused(r"network_def#out_channels must be at least 4, .* keeps its channel"):
        run_bundle("evaluating", *files, **{"network_def#out_channels": 3})


@pytest.mark.usefixtures("no_caching")
def test_weights_with_nan_are_found_before_caching(run_bundle: RunBundle, tmp_path: Path) -> None:
    weights = ASPPNet(channels=[16, 32, 64, 160], strides=[1, 2, 2, 2], num_res_units=[1, 1, 2, 2]).state_dict()
    weights["head.bias"][2] = float("nan")
    torch.save(weights, tmp_path / "nan.pt")
    with refused(r"nan\.pt holds weights that are NaN or infinite, first in 'head\.bias': 1 of 4 values"):
        run_bundle("evaluating", "train", "evaluate", "acdc.yaml", ckpt_path=str(tmp_path / "nan.pt"))


@pytest.mark.usefixtures("no_caching")
@pytest.mark.parametrize("resume", ["true", "auto"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fold": 1}, r"cases to validate on were trained on \(--fold\), such as patient"),
        ({"seed": 7}, "cannot be resumed: seed 7, not 0"),
        ({"max_epochs": 3}, "cannot be resumed: max_epochs 3, not 2"),
        ({"network_def#dropout": 0.5}, r"cannot be resumed: network_def\.dropout 0\.5, not 0\.0"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_resuming_as_another_training(
    run_bundle: RunBundle, root_use: Any, tmp_path: Path, settings: dict[str, Any], message: str, resume: str
) -> None:
    out = shutil.copytree(root_use.trained_dir, tmp_path / "out")
    with refused(message):
        run_bundle(resume=resume, **settings)
    assert torch.load(out / "models" / "last.pt", weights_only=True)["epoch"] == 2


@pytest.mark.usefixtures("no_caching")
def test_resuming_from_a_state_that_is_cut_off(run_bundle: RunBundle, root_use: Any, tmp_path: Path) -> None:
    out = shutil.copytree(root_use.trained_dir, tmp_path / "out")
    cut_off(out / "models" / "last.pt")
    with refused(r"last\.pt is no checkpoint that can be read"):
        run_bundle(resume="true")


@pytest.mark.usefixtures("no_caching")
def test_weights_that_are_missing(run_bundle: RunBundle, tmp_path: Path) -> None:
    with refused(r"there is no checkpoint .*model\.pt"):
        run_bundle("evaluating", "train", "evaluate", "acdc.yaml")
    assert files_in(tmp_path / "out") == []


def test_evaluation_on_cases_that_were_trained_on(run_bundle: RunBundle, root_use: Any, tmp_path: Path) -> None:
    out = shutil.copytree(root_use.trained_dir, tmp_path / "out")
    before = (out / "metrics.csv").read_bytes()
    with refused(r"2 of 2 cases to evaluate were trained on by .*split\.json"):
        run_bundle("evaluating", "train", "evaluate", "acdc.yaml", tiny_yaml(), fold=1)
    assert (out / "metrics.csv").read_bytes() == before


def tiny_yaml() -> Path:
    return Path(__file__).with_name("tiny.yaml")


@pytest.mark.parametrize("content", [[], ["notes.txt"]], ids=["empty", "no scans"])
def test_inference_without_scans(run_bundle: RunBundle, tmp_path: Path, content: list[str]) -> None:
    (tmp_path / "scans").mkdir()
    for name in content:
        (tmp_path / "scans" / name).touch()
    with refused("dataset_dir .*scans holds no scan"):
        run_bundle("evaluating", "inference", dataset_dir=str(tmp_path / "scans"))
    assert files_in(tmp_path / "out") == []


def test_error_is_the_last_line_of_the_program(misspelt: SimpleNamespace) -> None:
    assert misspelt.returncode == 1
    assert "Traceback" not in misspelt.stderr
    error = misspelt.stderr.split("\nError: ")[1]
    assert error.startswith(
        "unknown setting 'max_epoch': nothing in the configuration uses it. Did you mean 'max_epochs'?"
    )


def test_bad_scan_is_listed_and_the_others_are_segmented(elsewhere_use: Any) -> None:
    assert elsewhere_use.inference.returncode == 1
    assert "Traceback" not in elsewhere_use.inference.stderr
    assert "\nError: 1 of 3 scans failed" in elsewhere_use.inference.stderr
    assert "bad.nii.gz cannot be read" in elsewhere_use.inference.stderr.rstrip().splitlines()[-1]
    listing = json.loads((elsewhere_use.segmented_dir / "segmentation.json").read_text(encoding="utf-8"))
    reasons = {scan["case_id"]: scan["reason"] for scan in listing["scans"]}
    assert "bad.nii.gz cannot be read" in reasons.pop("bad")
    assert reasons == {"cine": "", "visit 1/stack a": ""}
    masks = {path.name for path in elsewhere_use.segmented_dir.rglob("*.nii*")}
    assert masks == {"cine.nii", "stack a.nii.gz"}

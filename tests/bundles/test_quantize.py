"""``quantize.yaml``: from some scans to a network in 8-bit integers, and segmentation with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from mlflow.entities import Run
from torch import nn

from pipeline.errors import InputError, input_error_within

pytestmark = [
    pytest.mark.filterwarnings("ignore:parsing config_file"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]

HERE = Path(__file__).resolve().parent
QUANTIZE = HERE.parents[1] / "bundles" / "cardiac_sax_segmentation" / "configs" / "quantize.yaml"
TINY = HERE / "tiny_inference.yaml"
SCAN = "patient001/patient001_frame01.nii.gz"

Quantize = Callable[..., Path]


@pytest.fixture(autouse=True)
def patience_with_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights find no structure anywhere with certainty."""
    monkeypatch.setattr("pipeline.workflows.quantization.LOWEST_DICE", 0.5)


@pytest.fixture
def weights(tmp_path: Path, tiny_network: nn.Module) -> Path:
    torch.save(tiny_network.state_dict(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


@pytest.fixture
def quantize(run_bundle: Callable[..., None], tmp_path: Path, weights: Path) -> Quantize:
    def run(**settings: Any) -> Path:
        options = {"ckpt_path": str(weights), "output_dir": str(tmp_path / "int8"), "max_scans": 1, **settings}
        run_bundle("quantizing", "inference", TINY, QUANTIZE, **options)
        return tmp_path / "int8" / "model_int8.onnx"

    return run


def refused(work: Callable[[], Any], message: str) -> None:
    with pytest.raises((RuntimeError, InputError)) as caught:
        work()
    with pytest.raises(InputError, match=message):
        raise input_error_within(caught.value) or caught.value


def test_it_segments_nearly_as_the_network(
    quantize: Quantize,
    run_bundle: Callable[..., None],
    cohort: Path,
    tmp_path: Path,
    weights: Path,
    tracking_uri: str,
    find_runs: Callable[[Path], list[Run]],
) -> None:
    file = quantize(record=True, tracking_uri=tracking_uri)
    masks = []
    for output, more in {"float": {}, "integers": {"backend": "onnx", "exported_file": str(file)}}.items():
        options = {"dataset_dir": str(cohort / SCAN), "output_dir": str(tmp_path / output), "ckpt_path": str(weights)}
        run_bundle("evaluating", "inference", TINY, **options, **more)
        masks.append(np.asarray(nib.load(tmp_path / output / Path(SCAN).name).dataobj))
    # noise of 8 bits decides where two classes are nearly as probable, nowhere else
    assert 0 < np.mean(masks[0] != masks[1]) < 0.06
    (run,) = find_runs(tmp_path / "int8")
    assert run.data.tags["job"] == "quantizing"
    agreement = [run.data.metrics[f"agreement_{key}"] for key in ("rv", "myo", "lv")]
    assert 0.8 < min(agreement) <= max(agreement) < 1.0
    # its name may be a patient's
    assert str(cohort) not in run.data.params["dataset_dir"]


def test_it_is_evaluated_without_the_weights(
    quantize: Quantize, run_bundle: Callable[..., None], tmp_path: Path
) -> None:
    options = {"backend": "onnx", "exported_file": str(quantize()), "output_dir": str(tmp_path / "evaluated")}
    names = ("train", "evaluate", "acdc.yaml", TINY.with_name("tiny.yaml"))
    run_bundle("evaluating", *names, ckpt_path="missing.pt", **options)
    assert (tmp_path / "evaluated" / "metrics.csv").is_file()


def test_a_bad_scan_is_left_out(
    quantize: Quantize, cohort: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    (scans / "a.nii.gz").write_bytes(b"no image")
    (scans / "b.nii.gz").write_bytes((cohort / SCAN).read_bytes())
    assert quantize(dataset_dir=str(scans), max_scans=2).is_file()
    assert "A scan was left out: " in caplog.text


def test_without_any_good_scan_nothing_is_written(quantize: Quantize, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.nii.gz").write_bytes(b"no image")
    refused(lambda: quantize(dataset_dir=str(tmp_path / "scans")), "No scan could be segmented, the first one because ")
    assert not list((tmp_path / "int8").glob("*.onnx"))


def test_network_that_does_not_stand_8_bits_is_refused(
    quantize: Quantize, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.workflows.quantization.LOWEST_DICE", 1.0)
    refused(quantize, r"segments otherwise than the network itself: Dice RV 0\.\d+, .* keep --backend folded")
    assert not list((tmp_path / "int8").glob("*.onnx"))


def test_scans_are_at_least_one(quantize: Quantize) -> None:
    refused(lambda: quantize(max_scans=0), "max_scans must be a whole number of at least 1")

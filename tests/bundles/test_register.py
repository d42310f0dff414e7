"""A training as a registered model: loaded, asked, served, refused."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import nibabel as nib
import numpy as np
import psutil
import pytest
from mlflow.exceptions import MlflowException

from pipeline.errors import InputError
from pipeline.registry import Registered, register_run
from pipeline.tracking.store import open_store

STARTUP_S = 120


@pytest.fixture(scope="module")
def run_id(root_use, tracking_uri: str) -> str:
    client = open_store(tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    wanted = f"params.output_dir = '{root_use.trained_dir}' and tags.job = 'training'"
    return client.search_runs(experiments, wanted)[0].info.run_id


@pytest.fixture(scope="module")
def registered(run_id: str, tracking_uri: str) -> Registered:
    return register_run(run_id, tracking_uri=tracking_uri, promotes=True)


@pytest.fixture(scope="module")
def model(registered: Registered, tracking_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    version = open_store(tracking_uri).get_model_version_by_alias(registered.name, "candidate")
    return mlflow.pyfunc.load_model(version.source)


@pytest.fixture(scope="module")
def scan(cohort: Path) -> Path:
    return cohort / "patient003" / "patient003_frame01.nii.gz"


def test_model_is_registered_with_what_it_needs(registered: Registered, tracking_uri: str, run_id: str) -> None:
    client = open_store(tracking_uri)
    version = client.get_model_version_by_alias(registered.name, "candidate")
    assert (version.run_id, registered.model_uri) == (run_id, "models:/cardiac_sax_segmentation@candidate")
    files = {item.path for item in client.list_artifacts(run_id, "model")}
    assert {"model/MLmodel", "model/requirements.txt", "model/input_example.json"} <= files


def test_first_model_is_the_champion_and_says_why(registered: Registered, tracking_uri: str) -> None:
    version = open_store(tracking_uri).get_model_version_by_alias(registered.name, "champion")
    assert version.tags["promotion.reason"] == "There was no champion to compare with."


def test_equal_model_is_registered_but_not_promoted(registered: Registered, tracking_uri: str, run_id: str) -> None:
    with pytest.raises(InputError, match=r"Not promoted: .*difference \+0.0000"):
        register_run(run_id, tracking_uri=tracking_uri, promotes=True)
    client = open_store(tracking_uri)
    latest = client.get_model_version_by_alias(registered.name, "candidate")
    assert "promotion.refused" in latest.tags
    assert client.get_model_version_by_alias(registered.name, "champion").version != latest.version


def test_label_map_is_in_the_model(model: Any) -> None:
    assert model.metadata.metadata["label_map"] == {"0": "BACKGROUND", "1": "RV", "2": "MYO", "3": "LV"}


def test_three_forms_of_a_scan_give_the_same_mask(model: Any, scan: Path, tmp_path: Path) -> None:
    voxels, spacing = np.asarray(nib.load(scan).dataobj), [2.75, 3.0, 16.0]
    path = tmp_path / "as in dicom.nii.gz"
    nib.save(nib.Nifti1Image(voxels, np.diag([-2.75, -3.0, 16.0, 1.0])), path)
    of_path = model.predict({"path": str(path)}, params={"output_dir": str(tmp_path / "masks")})
    of_bytes = model.predict({"nifti": path.read_bytes()})
    of_array = model.predict({"image": voxels, "spacing_mm": spacing})
    mask = np.asarray(nib.load(of_path["mask_path"][0]).dataobj)
    (tmp_path / "back.nii.gz").write_bytes(of_bytes["mask_nifti"][0])
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "back.nii.gz").dataobj), mask)
    np.testing.assert_array_equal(of_array["mask"][0], mask)
    assert of_path["lv_ml"][0] == pytest.approx([np.sum(mask == 3) * 0.132], abs=0.01)  # mL of a voxel


def test_cine_has_a_volume_a_phase(model: Any, root_use) -> None:
    answer = model.predict({"path": str(root_use.scans_dir / "cine.nii")})
    assert len(answer["lv_ml"][0]) == 2


@pytest.mark.parametrize(
    "row", [{"path": "/no/such/scan.nii"}, {"image": [[[1.0]]], "spacing_mm": [1.0]}, {"path": ""}]
)
def test_bad_request_is_refused(model: Any, row: dict[str, Any]) -> None:
    with pytest.raises(MlflowException, match="The request cannot be answered: scan 0: ") as caught:
        model.predict(row)
    assert caught.value.get_http_status_code() == 400


def test_folder_of_several_scans_is_refused(model: Any, root_use) -> None:
    with pytest.raises(MlflowException, match=r"path must hold one scan, got \d in"):
        model.predict({"path": str(root_use.scans_dir)})


def test_alias_of_the_champion_is_not_given_by_hand(run_id: str, tracking_uri: str) -> None:
    with pytest.raises(InputError, match="given by a promotion, after a comparison: --promote"):
        register_run(run_id, alias="champion", tracking_uri=tracking_uri)


@pytest.fixture(scope="module")
def server(registered: Registered, tracking_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of ``mlflow models serve`` with the candidate."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    words = ["-m", "mlflow", "models", "serve", "-m", registered.model_uri, "--env-manager", "local", "-w", "1"]
    # mlflow starts uvicorn by its name
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    env = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri, "OMP_NUM_THREADS": "1", "PATH": path}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *words, "-h", "127.0.0.1", "-p", str(port)], env=env, stdout=output, stderr=output
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/ping", process, log)
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            _end(process)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end_s = time.monotonic() + STARTUP_S
    while time.monotonic() < end_s and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(log.read_text(encoding="utf-8", errors="replace"))


def _end(process: subprocess.Popen[bytes]) -> None:
    # the server is a child of the command
    if process.poll() is None:
        for member in psutil.Process(process.pid).children(recursive=True):
            member.kill()
        process.kill()
    process.wait()


def ask(address: str, row: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"dataframe_records": [row]}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.server
def test_server_segments_a_scan(server: str, scan: Path, tmp_path: Path) -> None:
    status, answer = ask(server, {"nifti": base64.b64encode(scan.read_bytes()).decode()})
    assert status == 200
    prediction = answer["predictions"][0]
    (tmp_path / "mask.nii.gz").write_bytes(base64.b64decode(prediction["mask_nifti"]))
    mask, image = nib.load(tmp_path / "mask.nii.gz"), nib.load(scan)
    assert mask.shape == image.shape
    np.testing.assert_allclose(mask.affine, image.affine)
    assert prediction["lv_ml"][0] > 0


@pytest.mark.server
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"path": "/no/such/scan.nii"}, "path must exist"),
        ({"nifti": base64.b64encode(b"no scan").decode()}, "scan 0: "),
        ({"nifti": 5}, "nifti"),
        ({"image": [[1.0]], "spacing_mm": [1.0, 1.0, 1.0]}, "image must have the axes"),
        ({"image": [[[1.0]]], "spacing_mm": ["wide"]}, "spacing_mm"),
        ({"scan": "x"}, "exactly one of"),
    ],
)
def test_server_refuses_a_bad_request_clearly(server: str, row: dict[str, Any], message: str) -> None:
    status, answer = ask(server, row)
    assert status == 400
    assert message in answer["message"]

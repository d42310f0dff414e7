"""Weights and labels that do not belong together end in an error that says so, before anything is computed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml

from pipeline.errors import InputError, input_error_within
from pipeline.networks import ASPPNet
from pipeline.workflows.training_record import TrainingRecord

pytestmark = [pytest.mark.filterwarnings("ignore:parsing config_file"), pytest.mark.usefixtures("no_caching")]

HERE = Path(__file__).resolve().parent
RunBundle = Callable[..., None]
EVALUATION = ("evaluating", "train", "evaluate", "acdc.yaml", HERE / "tiny.yaml")
INFERENCE = ("evaluating", "inference", HERE / "tiny_inference.yaml")
both_commands = pytest.mark.parametrize("command", [EVALUATION, INFERENCE], ids=["evaluate", "inference"])


@contextmanager
def refused(message: str) -> Iterator[None]:
    with pytest.raises((RuntimeError, InputError)) as caught:
        yield
    assert re.search(message, str(input_error_within(caught.value)))


@pytest.fixture
def no_caching(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.data.cache.cache_dataset", lambda *_, **__: pytest.fail("caching has begun"))


def save_weights(path: Path, **other: object) -> Path:
    settings = yaml.safe_load((HERE / "tiny.yaml").read_text(encoding="utf-8"))["network_def"]
    sizes = {key: settings[key] for key in ("channels", "strides", "num_res_units", "dilations")}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(ASPPNet(**{**sizes, **other}).state_dict(), path)
    return path


@both_commands
def test_wrong_checksum(run_bundle: RunBundle, tmp_path: Path, command: tuple[str, ...]) -> None:
    path = save_weights(tmp_path / "model.pt")
    path.with_name("model.pt.sha256").write_text(f"{'0' * 64}  model.pt\n", encoding="utf-8")
    with refused(r"model\.pt has the SHA-256 \w{16}…, model\.pt\.sha256 beside it says 0{16}…"):
        run_bundle(*command, ckpt_path=str(path))


@both_commands
def test_another_number_of_labels(run_bundle: RunBundle, tmp_path: Path, command: tuple[str, ...]) -> None:
    path = save_weights(tmp_path / "model.pt", out_channels=3)
    with refused(r"model\.pt holds the weights of a network for another set of labels: 3 classes .* this one has 4"):
        run_bundle(*command, ckpt_path=str(path))


@both_commands
def test_ensemble_with_a_member_of_another_network(
    run_bundle: RunBundle, tmp_path: Path, command: tuple[str, ...]
) -> None:
    paths = [save_weights(tmp_path / "a.pt"), save_weights(tmp_path / "b.pt", channels=[8, 12])]
    with refused(r"b\.pt holds the weights of another network than ASPPNet"):
        run_bundle(*command, "ensemble.yaml", ckpt_path=[str(path) for path in paths])


@both_commands
def test_ensemble_of_a_folder_without_folds(run_bundle: RunBundle, tmp_path: Path, command: tuple[str, ...]) -> None:
    with refused("holds no cross-validation: there is no fold_0 in it"):
        run_bundle(*command, "ensemble.yaml", cross_validation_dir=str(tmp_path))


@pytest.mark.parametrize("label_map", [{}, {0: 0}, {1: 0, 2: 0, 3: 0}], ids=str)
def test_labels_of_background_alone(run_bundle: RunBundle, label_map: dict[int, int]) -> None:
    with refused("label_map must give at least one structure beside the background"):
        run_bundle(label_map=label_map)


def test_two_patients_are_too_few_for_the_folds(run_bundle: RunBundle, cohort: Path, tmp_path: Path) -> None:
    for patient in ("patient001", "patient002"):
        shutil.copytree(cohort / patient, tmp_path / "two" / patient)
    with refused(r"2 patient\(s\) are too few for 5 folds: .* Lower num_folds to at most 2, or add patients"):
        run_bundle(dataset_dir=str(tmp_path / "two"))


@both_commands
def test_weights_that_were_trained_at_another_spacing(
    run_bundle: RunBundle, tmp_path: Path, command: tuple[str, ...]
) -> None:
    path = save_weights(tmp_path / "trained" / "models" / "model.pt")
    settings = {"pixdim": "[1.5, 1.5, -1.0]", "neighbors": "0", "label_map": "acdc"}
    TrainingRecord("", "digest", "code", settings, finished=True).save(tmp_path / "trained")
    with refused(
        r"model\.pt was trained with pixdim \[1\.5, 1\.5, -1\.0\] .*training\.json\), .* has \[3\.0, 3\.0, -1\.0\]"
    ):
        run_bundle(*command, ckpt_path=str(path))

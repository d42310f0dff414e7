"""Ensemble and uncertainty: overlays of the inference, run on a network of a few weights."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
import yaml

from pipeline.networks import ASPPNet

pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
TINY = HERE / "tiny_inference.yaml"
SCAN = "patient003/patient003_frame01.nii.gz"


def load(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def save_weights(path: Path, seed: int) -> str:
    path.parent.mkdir(parents=True)
    torch.manual_seed(seed)
    settings = load(TINY)["network_def"]
    sizes = {key: settings[key] for key in ("channels", "strides", "num_res_units", "dilations")}
    torch.save(ASPPNet(**sizes).state_dict(), path)
    return str(path)


def test_uncertainty_adds_one_step_to_the_bundles_own() -> None:
    bundle = load(REPOSITORY / "bundles" / "cardiac_sax_segmentation" / "configs" / "inference.yaml")
    steps = load(REPOSITORY / "configs" / "uncertainty.yaml")["postprocessing#transforms"]
    added = {"_target_": "pipeline.transforms.Uncertaintyd", "keys": "pred"}
    assert [step for step in steps if step != added] == bundle["postprocessing"]["transforms"]
    assert steps.index(added) < [step["_target_"] for step in steps].index("pipeline.transforms.MostProbabled")


def test_ensemble_and_uncertainty_of_a_scan(run_bundle: Callable[..., None], cohort: Path, tmp_path: Path) -> None:
    weights = [save_weights(tmp_path / name / "models" / "model.pt", seed) for seed, name in enumerate("ab")]
    files = ("inference", TINY, "ensemble.yaml", "uncertainty.yaml")
    run_bundle("evaluating", *files, dataset_dir=str(cohort / SCAN), ckpt_path=weights)
    scan = nib.load(cohort / SCAN)
    found = nib.load(tmp_path / "out" / "uncertainty" / "patient003_frame01.nii.gz")
    values = np.asarray(found.dataobj)
    assert np.array_equal(found.affine, scan.affine)
    assert values.shape == scan.shape
    assert 0 <= values.min() < values.max() <= 1
    (study,) = csv.DictReader((tmp_path / "out" / "studies.csv").open(encoding="utf-8"))
    assert 0 < float(study["lowest_expected_mean_dice"]) < 1

"""Fine-tuning to its end: from own weights, with a frozen or a slower encoder, and with a head for further labels."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
import yaml

from pipeline.labels import Structure

pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")

HERE = Path(__file__).resolve().parent
TINY = HERE / "tiny.yaml"
SCAR = 4
WITH_SCAR = {"network_def#out_channels": 5, "label_map": {1: 1, 2: 2, 3: 3, SCAR: SCAR}}

RunBundle = Callable[..., None]
Weights = dict[str, torch.Tensor]


@pytest.fixture
def own_weights(tiny_network: torch.nn.Module, tmp_path: Path) -> Path:
    torch.save(tiny_network.state_dict(), tmp_path / "own.pt")
    return tmp_path / "own.pt"


@pytest.fixture
def finetune(run_bundle: RunBundle, tmp_path: Path, own_weights: Path) -> Callable[..., Path]:
    """Fine-tune the tiny network for an epoch, and return the folder of the results."""

    def run(name: str = "out", *overlays: Path, **settings: Any) -> Path:
        files = ("train", "acdc.yaml", "recipes/finetune.yaml", TINY, *overlays)
        options = {"max_epochs": 1, "pretrained_path": str(own_weights), **settings}
        run_bundle("training", *files, output_dir=str(tmp_path / name), **options)
        return tmp_path / name

    return run


def load(path: Path) -> Any:
    return torch.load(path, weights_only=True)


def encoder(weights: Weights) -> Weights:
    return {key: value for key, value in weights.items() if key.startswith(("encoder.", "aspp."))}


def changed(before: Weights, after: Weights) -> set[str]:
    return {key for key in before if not torch.equal(before[key], after[key])}


@pytest.fixture
def scarred_cohort(cohort: Path, tmp_path: Path) -> Path:
    """The cohort with a further label: the myocardium's part in the first half of each image."""
    data = shutil.copytree(cohort, tmp_path / "scarred")
    for path in data.rglob("*_gt.nii.gz"):
        image = nib.load(path)
        label = np.asarray(image.dataobj).copy()
        half = label[: label.shape[0] // 2]
        half[half == Structure.MYO] = SCAR
        path.unlink()
        nib.save(nib.Nifti1Image(label, image.affine, image.header), path)
    return data


def overlay(path: Path, **settings: Any) -> Path:
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


@pytest.fixture
def sees_scar(tiny_network: torch.nn.Module, tmp_path: Path) -> Path:
    """Weights of five classes, which see a scar wherever the tiny network sees myocardium."""
    weights = dict(tiny_network.state_dict())
    weight, bias = weights["head.weight"], weights["head.bias"]
    weights["head.weight"] = torch.cat([weight, weight[[Structure.MYO]]])
    weights["head.bias"] = torch.cat([bias, bias[[Structure.MYO]] + 0.1])
    torch.save(weights, tmp_path / "scar.pt")
    return tmp_path / "scar.pt"


def test_new_head_for_a_further_label_is_trained_and_validated(
    finetune: Callable[..., Path], scarred_cohort: Path, tmp_path: Path
) -> None:
    weighted = overlay(tmp_path / "weighted.yaml", **{"loss#weight": "$torch.tensor([0.02, 1.0, 1.0, 1.0, 1.0])"})
    out = finetune("out", weighted, dataset_dir=str(scarred_cohort), **WITH_SCAR)
    assert load(out / "models" / "model.pt")["head.weight"].shape[0] == 5
    (line,) = (out / "validation.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["val_dice_label_4"] == pytest.approx(summary(out)["all"]["label_4"]["dice"]["mean"])


def test_further_label_is_evaluated(
    run_bundle: RunBundle, sees_scar: Path, scarred_cohort: Path, tmp_path: Path
) -> None:
    data = {"dataset_dir": str(scarred_cohort), "ckpt_path": str(sees_scar)}
    run_bundle("evaluating", "train", "evaluate", "acdc.yaml", TINY, **data, **WITH_SCAR)
    cases = rows(tmp_path / "out" / "metrics.csv")
    mean = sum(float(case["dice_label_4"]) for case in cases) / 2
    assert summary(tmp_path / "out")["all"]["label_4"]["dice"]["mean"] == pytest.approx(mean)
    assert all(float(case["volume_ml_label_4"]) > 0 for case in cases)


def test_further_label_is_in_masks_and_volumes(
    run_bundle: RunBundle, sees_scar: Path, cohort: Path, tmp_path: Path
) -> None:
    (tmp_path / "scans").mkdir()
    shutil.copy(cohort / "patient003" / "patient003_frame01.nii.gz", tmp_path / "scans")
    settings = {"dataset_dir": str(tmp_path / "scans"), "ckpt_path": str(sees_scar), "network_def#out_channels": 5}
    run_bundle("evaluating", "inference", HERE / "tiny_inference.yaml", **settings)
    (path,) = (tmp_path / "out").glob("*.nii.gz")
    mask = nib.load(path)
    scar_ml = np.count_nonzero(np.asarray(mask.dataobj) == SCAR) * np.prod(mask.header.get_zooms()[:3]) / 1000
    (row,) = rows(tmp_path / "out" / "segmentation.csv")
    assert scar_ml > 0 and float(row["label_4_ml"]) == pytest.approx(scar_ml, abs=0.001)


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_frozen_encoder_stays_bit_by_bit_and_the_decoder_learns(
    finetune: Callable[..., Path], own_weights: Path
) -> None:
    before, after = load(own_weights), load(finetune(encoder_factor=0) / "models" / "model.pt")
    assert len(encoder(before)) > 20
    assert changed(encoder(before), after) == set()
    parts = {key.split(".")[0] for key in changed(before, after)}
    assert parts == {"decoder", "head"}


def test_slower_encoder_moves_less_than_the_decoder(finetune: Callable[..., Path], own_weights: Path) -> None:
    state = load(finetune(encoder_factor=0.01, weight_decay=0) / "models" / "last.pt")
    decoder_group, encoder_group = state["objects"]["optimizer"]["param_groups"]
    assert encoder_group["lr"] == pytest.approx(0.01 * decoder_group["lr"])
    before, after = load(own_weights), state["objects"]["network"]
    assert 0 < farthest(before, after, "encoder.") < farthest(before, after, "decoder.") / 10


def farthest(before: Weights, after: Weights, part: str) -> float:
    """Return the largest change of a weight of a convolution; AdamW moves all by about the learning rate."""
    names = [key for key in before if key.startswith(part) and before[key].ndim == 4]
    return max(float((after[key] - before[key]).abs().max()) for key in names)


def test_resumed_finetuning_ends_with_the_weights_of_an_uninterrupted_one(
    finetune: Callable[..., Path], tmp_path: Path
) -> None:
    whole = load(finetune("whole", max_epochs=2) / "models" / "model.pt")
    disturbed = {"+train#handlers": [{"_target_": "disturb.DisturbAt", "iteration": 27}]}
    with pytest.raises(RuntimeError, match="run_training"):
        finetune("parts", overlay(tmp_path / "disturbed.yaml", **disturbed), max_epochs=2)
    assert load(tmp_path / "parts" / "models" / "last.pt")["epoch"] == 1
    resumed = load(finetune("parts", max_epochs=2, resume=True) / "models" / "model.pt")
    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)

"""Overlays that change more than the network really train, validate and save."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml

from pipeline.errors import InputError, input_error_within

pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")

HERE = Path(__file__).resolve().parent
TINY = HERE / "tiny.yaml"
SMALL_3D = {
    "roi_size": [48, 48, 4],
    "network_def#channels": [4, 6],
    "network_def#strides": [[1, 1, 1], [2, 2, 1]],
    "network_def#kernel_size": [[3, 3, 1], [3, 3, 3]],
}

RunBundle = Callable[..., None]


def overlay(folder: Path, **settings: Any) -> Path:
    path = folder / "quick.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


def saved(folder: Path) -> dict[str, Any]:
    assert len(pd.read_csv(folder / "metrics.csv")) == 2
    return torch.load(folder / "models" / "last.pt", weights_only=True)["objects"]


def test_adversarial_training_updates_both_networks(run_bundle: RunBundle, tmp_path: Path) -> None:
    run_bundle("training", "train", "acdc.yaml", TINY, "variants/adversarial.yaml", max_epochs=1)
    objects = saved(tmp_path / "out")
    assert {"d_network", "d_optimizer"} <= objects.keys()
    assert all(state["step"] > 0 for state in objects["d_optimizer"]["state"].values())
    assert all(state["step"] > 0 for state in objects["optimizer"]["state"].values())


def volumetric(run_bundle: RunBundle, folder: Path, out: str, **settings: Any) -> dict[str, torch.Tensor]:
    names = ("train", "acdc.yaml", TINY, "variants/volumetric.yaml", overlay(folder, **SMALL_3D))
    run_bundle("training", *names, output_dir=str(folder / out), **settings)
    return saved(folder / out)["network"]


def test_volumetric_training_convolves_in_three_dimensions(run_bundle: RunBundle, tmp_path: Path) -> None:
    weights = volumetric(run_bundle, tmp_path, "out", max_epochs=1)
    assert {weight.ndim for weight in weights.values() if weight.ndim > 1} == {5}


def test_volumetric_training_with_the_same_seed_gives_the_same_weights(run_bundle: RunBundle, tmp_path: Path) -> None:
    one, other = (volumetric(run_bundle, tmp_path, out, max_epochs=1) for out in ("one", "other"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_finetuning_refuses_labels_in_another_order(run_bundle: RunBundle, tmp_path: Path) -> None:
    # the bundle's own weights know the phantom's ventricles, M&Ms numbers them the other way round
    with pytest.raises((RuntimeError, InputError)) as caught:
        run_bundle("training", "train", "acdc.yaml", "recipes/finetune.yaml", label_map="mnms", max_epochs=1)
    assert "which see LV where the labels say RV" in str(input_error_within(caught.value))
    assert not (tmp_path / "out" / "models").exists()

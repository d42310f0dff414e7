"""The YAML files agree with each other, with the metadata and with the package."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from monai.bundle import ConfigParser, create_workflow

import pipeline
from pipeline.handlers.checksum import checksum_path, sha256
from pipeline.labels import Structure
from pipeline.workflows.search_space import SweepFile

pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
CONFIGS = REPOSITORY / "bundles" / "cardiac_sax_segmentation" / "configs"
SWEEPS = sorted((REPOSITORY / "configs" / "sweeps").glob("*.yaml"))
OVERLAYS = sorted(set((REPOSITORY / "configs").rglob("*.yaml")) - set(SWEEPS))
# an overlay of the bundle may bring what only it has
OWN_IDS = {
    "evaluate": {"backend", "ckpt_path", "evaluating", "exported_file"},
    "multi_gpu_train": {"finalize"},
}


def load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


TRAIN, INFERENCE = load(CONFIGS / "train.yaml"), load(CONFIGS / "inference.yaml")
BASES = {"train.yaml": TRAIN, "inference.yaml": INFERENCE}
METADATA = json.loads((CONFIGS / "metadata.json").read_text(encoding="utf-8"))


def without(section: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key not in keys}


@pytest.mark.parametrize("key", ["network_def", "pixdim", "roi_size", "spatial_dims", "device", "amp"])
def test_inference_has_the_value_of_the_training(key: str) -> None:
    assert INFERENCE[key] == TRAIN[key]


def test_inference_has_the_window_of_the_validation() -> None:
    assert INFERENCE["inferer"] == TRAIN["validate"]["inferer"]


def test_inference_scales_each_phase_as_the_training_scales_the_volume() -> None:
    assert INFERENCE["scale_intensity"] == TRAIN["scale_intensity"]


def test_inference_resamples_as_the_validation() -> None:
    steps = TRAIN["validate"]["preprocessing"]["transforms"]
    assert steps[0] == "@load"
    assert INFERENCE["preprocessing"]["transforms"][-len(steps) + 1 :] == steps[1:]


def test_inference_reads_as_the_training() -> None:
    def names(steps: list[Any]) -> list[str]:
        return [step["_target_"] for step in steps if isinstance(step, dict)]

    of_labels = {"pipeline.transforms.CheckSameGridd", "pipeline.transforms.MapLabelsd"}
    reading = [name for name in names(TRAIN["load"]["transforms"]) if name not in of_labels]
    reading.remove("pipeline.transforms.SelectFramed")  # a cine is segmented whole
    assert names(INFERENCE["preprocessing"]["transforms"])[: len(reading)] == reading


def test_inference_finishes_as_the_validation() -> None:
    text = json.dumps(TRAIN["validate"]["postprocessing"]).replace("@validate#preprocessing", "@preprocessing")
    assert INFERENCE["postprocessing"] == json.loads(text)


def test_demo_segments_with_the_network_it_trained() -> None:
    training, inference = (load(REPOSITORY / "configs" / name) for name in ("demo.yaml", "demo_inference.yaml"))
    assert {key: value for key, value in training.items() if key in inference} == inference


def test_channels_are_the_structures_in_their_order() -> None:
    channels = METADATA["network_data_format"]["outputs"]["pred"]["channel_def"]
    words = {
        Structure.BACKGROUND: "background",
        Structure.RV: "right",
        Structure.MYO: "myocardium",
        Structure.LV: "cavity",
    }
    assert [words[structure] in channels[str(int(structure))] for structure in Structure] == [True] * 4
    assert TRAIN["network_def"]["out_channels"] == len(channels) == len(Structure)


def test_version_is_that_of_the_package() -> None:
    assert METADATA["version"] == pipeline.__version__


def exists(id_: str, config: dict[str, Any]) -> bool:
    return id_.lstrip("+") in ConfigParser(config)


def explained(key: str, base: dict[str, Any], overlay: Path) -> bool:
    """Tell whether an id is the bundle's, one more argument of its component, or a new one that the overlay uses."""
    parent = key.removeprefix("+").rpartition("#")[0]
    used = f"@{key}" in overlay.read_text(encoding="utf-8")
    return exists(key, base) or bool(parent and exists(parent, base)) or used


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.stem)
def test_overlay_names_only_ids_of_the_bundle(path: Path) -> None:
    unknown = {name: [key for key in load(path) if not explained(key, base, path)] for name, base in BASES.items()}
    assert [] in unknown.values(), unknown


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_sweep_names_only_ids_of_the_training(path: Path) -> None:
    sweep = SweepFile.read(path)
    assert [key for key in (*sweep.space, *sweep.settings) if not exists(key, TRAIN)] == []
    assert sweep.distributions().keys() == sweep.space.keys()


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.stem)
def test_overlay_passes_the_guard(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    base = next(name for name, config in BASES.items() if all(explained(key, config, path) for key in load(path)))
    create_workflow(config_file=[str(CONFIGS / base), str(path)], logging_file=False)


@pytest.mark.parametrize("name", OWN_IDS)
def test_overlay_of_the_bundle_names_ids_of_the_training(name: str) -> None:
    assert {key for key in load(CONFIGS / f"{name}.yaml") if not exists(key, TRAIN)} == OWN_IDS[name]


@pytest.mark.parametrize("path", [*sorted(CONFIGS.glob("*.yaml")), *OVERLAYS, *SWEEPS], ids=lambda path: path.stem)
def test_config_names_no_place_and_no_list_index(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not any(part in text for part in ("/home", "/work", "/tmp", "C:\\"))
    assert not any(f"#{digit}" in text for digit in range(10))


def test_baseline_trains_without_skips_and_keeps_the_network_itself(
    run_bundle: Callable[..., None], tmp_path: Path
) -> None:
    overlay = tmp_path / "small.yaml"
    small = {"network_def#channels": [8, 16, 16, 16], "network_def#dilations": [1, 2]}
    tiny = without(load(HERE / "tiny.yaml"), "network_def", "learning_rate", "ema_momentum")
    overlay.write_text(yaml.safe_dump({**tiny, **small}), encoding="utf-8")
    run_bundle("training", "train", "acdc.yaml", "recipes/baseline.yaml", overlay, max_epochs=1, batch_size=8)
    state = torch.load(tmp_path / "out" / "models" / "last.pt", weights_only=True)["objects"]
    best = torch.load(tmp_path / "out" / "models" / "model.pt", weights_only=True)
    torch.testing.assert_close(best, dict(state["network"]), rtol=0, atol=0)
    assert state["optimizer"]["param_groups"][0]["lr"] == 0.001


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_training_volumes_lie_where_the_id_says(cohort: Path, tmp_path: Path, device: str) -> None:
    parser = ConfigParser()
    files = [CONFIGS / "train.yaml", REPOSITORY / "configs" / "acdc.yaml", HERE / "tiny.yaml"]
    parser.read_config([str(file) for file in files])
    parser.update({"dataset_dir": str(cohort), "output_dir": str(tmp_path), "cache_device": device})
    kept = {key: parser.get_parsed_content(key)[0]["image"].device for key in ("train#volumes", "validate#dataset")}
    assert kept == {"train#volumes": torch.device(device), "validate#dataset": torch.device("cpu")}


def test_trainer_waits_for_no_copy_that_is_pinned() -> None:
    parser = ConfigParser(TRAIN)
    assert parser["train#trainer#non_blocking"] == "@train#dataloader#pin_memory"
    parser.update({"device": torch.device("cuda"), "cache_device": "cpu"})
    assert parser.get_parsed_content("train#trainer#non_blocking") is True


def test_robust_recipe_adds_turns_tone_curves_and_noise_and_nothing_else() -> None:
    steps = load(REPOSITORY / "configs" / "recipes" / "robust.yaml")["augmentation"]["transforms"]
    added = [step for step in steps if step["_target_"].endswith("RandToneCurveBatchd")]
    assert [step["prob"] for step in added] == [0.2]
    kept = [without(step, "turn_prob", "flip_prob") for step in steps if step not in added]
    *others, noise = TRAIN["augmentation"]["transforms"]
    assert kept == [*others, {**noise, "std": [0.0, 0.1]}]


def test_weights_that_ship_have_their_checksum() -> None:
    weights = CONFIGS.parent / "models" / "model.pt"
    digest, name = checksum_path(weights).read_text(encoding="utf-8").split()
    assert (digest, name) == (sha256(weights), "model.pt")

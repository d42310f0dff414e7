from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.comparison.records import RunRecord
from pipeline.data import Split
from pipeline.errors import InputError
from pipeline.registry.package import pinned_requirements, read_inference_config, serving_config
from pipeline.workflows.rerun import Recorded


def test_settings_of_the_weights_are_those_of_the_training() -> None:
    inference = {"pixdim": [1, 1, -1], "network_def": {"channels": [1]}, "device": "$x", "postprocessing": {"a": 1}}
    training = {"pixdim": [2, 2, -1], "network_def": {"channels": [2]}, "device": "cpu", "max_epochs": 3}
    assert serving_config(inference, training) == {
        "pixdim": [2, 2, -1],
        "network_def": {"channels": [2]},
        "device": "$x",
        "postprocessing": {"a": 1},
    }


def test_intensity_is_scaled_as_in_training_a_phase_for_itself() -> None:
    inference = {"scale_intensity": {"lower": 1, "channel_wise": True}}
    config = serving_config(inference, {"scale_intensity": {"lower": 5}})
    assert config["scale_intensity"] == {"lower": 5, "channel_wise": True}


def test_inferer_is_that_of_the_validation() -> None:
    config = serving_config({"inferer": {"a": 1}}, {"validate": {"inferer": {"a": 2}}})
    assert config["inferer"] == {"a": 2}


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    case = {"patient_id": "a", "image": "a"}
    split = Split([case], [{**case, "patient_id": "b"}])
    return Recorded(RunRecord("r", "r"), {"bundle_root": "bundle"}, split, tmp_path)


@pytest.mark.parametrize("today", ["", "moved"])
def test_inference_configuration_is_found_in_the_bundle(recorded: Recorded, tmp_path: Path, today: str) -> None:
    folder = tmp_path / (today or "bundle") / "configs"
    folder.mkdir(parents=True)
    (folder / "inference.yaml").write_text(yaml.safe_dump({"pixdim": [1]}), encoding="utf-8")
    assert read_inference_config(recorded, tmp_path / today if today else "") == {"pixdim": [1]}


def test_missing_inference_configuration_is_refused(recorded: Recorded) -> None:
    with pytest.raises(InputError, match=r"There is no inference configuration .*inference.yaml"):
        read_inference_config(recorded)


def test_requirements_are_pinned_without_the_build() -> None:
    pinned = dict(line.split("==") for line in pinned_requirements())
    assert {"torch", "monai", "mlflow", "nibabel"} <= pinned.keys()
    assert [version for version in pinned.values() if "+" in version] == []

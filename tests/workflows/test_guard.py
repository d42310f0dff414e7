"""Settings that nothing would use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from monai.bundle import ConfigParser, create_workflow

from pipeline.errors import InputError
from pipeline.workflows.guard import check_overrides

pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")

CONFIG: dict[str, Any] = {
    "imports": [
        "$from pipeline.workflows.config import current_parser",
        "$from pipeline.workflows.guard import check_overrides",
    ],
    "bundle_root": ".",
    "max_epochs": 50,
    "val_interval": 5,
    "schedule": {"learning_rate": 0.1, "momentum": 0.9},
    "network_def": {"_target_": "BasicUNet", "spatial_dims": 2},
    "optimizer": {
        "_target_": "torch.optim.SGD",
        "lr": "@schedule#learning_rate",
        "momentum": "$@schedule#momentum / 2",
    },
    "train": {
        "inferer": {"_target_": "SimpleInferer"},
        "loader": {"_target_": "DataLoader", "batch_size": 4},
        "trainer": {
            "_target_": "SupervisedTrainer",
            "max_epochs": "@max_epochs",
            "optimizer": "@optimizer",
            "train_data_loader": "@train#loader",
        },
    },
    "initialize": ["$check_overrides(current_parser(), entry_points=['exporting'])"],
    "training": ["$@train#trainer.run(@val_interval)"],
    "run": "%training",
}

Start = Callable[..., None]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a bundle of CONFIG and overlays with overrides, as the command line of monai.bundle does."""

    def run(overrides: Mapping[str, Any] | None = None, *overlays: Mapping[str, Any]) -> None:
        files = []
        for number, config in enumerate((CONFIG, *overlays)):
            files.append(str(tmp_path / f"{number}.yaml"))
            Path(files[-1]).write_text(yaml.safe_dump(config), encoding="utf-8")
        try:
            create_workflow(config_file=files, logging_file=False, **(overrides or {}))
        except RuntimeError as error:  # MONAI's wrapping
            raise error.__cause__ or error from None

    return run


def test_config_without_overrides_is_fine(start: Start) -> None:
    start()


@pytest.mark.parametrize(
    "overrides",
    [
        {"max_epochs": 3},
        {"train#trainer#max_epochs": 3},
        {"schedule#learning_rate": 0.01},
        {"optimizer#lr": 0.01},
        {"optimizer#nesterov": True},
        {"train#trainer#_disabled_": True},
        {"_note": "anything"},
        {"finalize": ["$print('done')"]},
        {"dataset_dir": "a property of MONAI"},
        {"train#dataset": "another property"},
        {"glob": "$import glob"},
        {"export": ["$print('another run_id')"]},
        {"exporting": "named as entry point"},
        {"is_not_rank0": False, "save_execute_config": True},
        {"extra": 1, "train#loader#num_workers": "@extra"},
    ],
    ids=lambda overrides: "-".join(overrides),
)
def test_setting_that_is_used_is_fine(start: Start, overrides: dict[str, Any]) -> None:
    start(overrides)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("max_epoch", r"setting 'max_epoch': nothing in the configuration uses it\. Did you mean 'max_epochs'\?"),
        ("vall_interval", r"setting 'vall_interval': .* Did you mean 'val_interval'\?"),
        ("batchsize", r"setting 'batchsize': .* Did you mean 'train#loader#batch_size'\?"),
        ("schedule#momentun", r"setting 'schedule#momentun': .* Did you mean 'schedule#momentum'\?"),
        ("train#loadr", r"setting 'train#loadr': .* Did you mean 'train#loader'\?"),
        ("dataset", r"setting 'dataset': nothing in the configuration uses it"),
        ("zzz", r"setting 'zzz': nothing in the configuration uses it\.\nSettings are the ids of the configuration"),
    ],
)
def test_setting_that_nothing_uses_is_an_error(start: Start, setting: str, message: str) -> None:
    with pytest.raises(InputError, match=f"unknown {message}"):
        start({setting: 3})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train#trainer#max_epoch", r"SupervisedTrainer takes no such argument\. Did you mean 'max_epochs'\?"),
        ("optimizer#learning_rate", r"torch\.optim\.SGD takes no such argument\."),
        ("network_def#feature", r"BasicUNet takes no such argument\. Did you mean 'features'\?"),
    ],
)
def test_argument_that_a_component_does_not_take_is_an_error(start: Start, setting: str, message: str) -> None:
    with pytest.raises(InputError, match=f"unknown setting '{setting}': {message}"):
        start({setting: 3})


@pytest.mark.parametrize(
    "component",
    [
        {"_target_": "torch.utils.data.DataLoader", "_disabled_": True, "wrong": 1},
        {"_target_": "no.such.module", "wrong": 1},
        {"_target_": "pipeline.no_such_name", "wrong": 1},
        {"_target_": "$@train#trainer.run", "wrong": 1},
        {"_target_": "monai.transforms.LoadImaged", "wrong": "taken by its **kwargs"},
        {"_target_": "builtins.dict", "wrong": "its signature is unknown"},
    ],
    ids=["disabled", "no module", "no name", "expression", "any keyword", "no signature"],
)
def test_arguments_that_cannot_be_told_are_left_to_monai(start: Start, component: dict[str, Any]) -> None:
    start({"_component": component})


def test_module_that_cannot_be_imported_is_left_to_monai(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text("1 / 0", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    start({"_component": {"_target_": "broken_module.thing", "wrong": 1}})


def test_all_unknown_settings_are_named_at_once(start: Start) -> None:
    with pytest.raises(InputError, match=r"(?s)'max_epoch':.*'valinterval':.*'train#trainer#ampp':"):
        start({"max_epoch": 3, "valinterval": 1, "train#trainer#ampp": True})


def test_suggestion_is_no_other_mistake(start: Start) -> None:
    with pytest.raises(InputError, match=r"unknown setting 'max_epoch': .* Did you mean 'max_epochs'\?"):
        start({"train#trainer#max_epoch": 3, "max_epoch": 3})


def test_overlay_is_checked_too(start: Start) -> None:
    with pytest.raises(InputError, match=r"unknown setting 'val_intervall': .* Did you mean 'val_interval'\?"):
        start(None, {"val_intervall": 1})


def test_overlay_that_replaces_the_only_use_of_an_id_is_fine(start: Start) -> None:
    start(None, {"train#trainer#max_epochs": 2, "optimizer": {"_target_": "torch.optim.AdamW"}})


def test_value_that_only_a_macro_uses_is_fine(start: Start) -> None:
    start(None, {"extra": 2, "train#loader#num_workers": "%extra"})


def test_overlay_may_refer_to_its_own_ids(start: Start) -> None:
    start(None, {"num_workers": 2, "train#loader#num_workers": "@num_workers"})


def test_setting_of_inference_is_unknown_to_a_training(start: Start) -> None:
    with pytest.raises(InputError, match="unknown setting 'postprocessing'"):
        start({"postprocessing": {"_target_": "Compose"}})


def test_inference_config_has_the_properties_of_inference() -> None:
    check_overrides(ConfigParser({"handlers": [], "handler": 1, "evaluating": ["$print(@handler)"]}))


def check_from_python(config: Mapping[str, Any]) -> None:
    """Check a workflow whose files are not known."""
    parser = ConfigParser({**deepcopy(CONFIG), **config})
    parser.parse()
    check_overrides(parser)


def test_workflow_from_python_is_checked_for_misspelt_ids() -> None:
    with pytest.raises(InputError, match=r"unknown setting 'max_epoch': .* Did you mean 'max_epochs'\?"):
        check_from_python({"max_epoch": 3})


def test_workflow_from_python_may_replace_the_only_use_of_an_id() -> None:
    check_from_python({"optimizer": {"_target_": "torch.optim.AdamW"}, "train": {"trainer": {"max_epochs": 3}}})

"""The configuration that is being run, as plain data."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from mlflow.utils.validation import _validate_param
from monai.bundle import ConfigParser, ConfigWorkflow, create_workflow

from pipeline.workflows.config import config_params, current_files, current_parser, resolved_config


def parser_of(config: Mapping[str, Any]) -> ConfigParser:
    parser = ConfigParser(dict(config))
    parser.parse()
    return parser


def test_parser_is_found_from_an_expression() -> None:
    parser = ConfigParser({"imports": ["$import pipeline"], "found": "$pipeline.workflows.config.current_parser()"})
    assert parser.get_parsed_content("found") is parser


def test_parser_is_found_from_a_component() -> None:
    parser = ConfigParser({"found": {"_target_": "pipeline.workflows.config.current_parser"}})
    assert parser.get_parsed_content("found") is parser


def test_innermost_parser_is_found() -> None:
    inner = ConfigParser({"found": {"_target_": "pipeline.workflows.config.current_parser"}})
    outer = ConfigParser({"found": "$inner.get_parsed_content('found')"}, globals={"inner": inner})
    assert outer.get_parsed_content("found") is inner


def test_parser_of_a_bundle_run_has_its_overrides(tmp_path: Path) -> None:
    file = tmp_path / "train.yaml"
    imports = ["$from pipeline.workflows.config import current_parser"]
    config = {"imports": imports, "max_epochs": 50, "initialize": ["$current_parser()['max_epochs']"]}
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    workflow = ConfigWorkflow(config_file=str(file), logging_file=False, max_epochs=3)
    assert workflow.initialize() == [3]


def test_workflow_among_the_callers_has_the_parser(tmp_path: Path) -> None:
    class Workflow(ConfigWorkflow):
        def ask(self) -> ConfigParser:
            return current_parser()

    file = tmp_path / "train.yaml"
    file.write_text("{}", encoding="utf-8")
    workflow = Workflow(config_file=str(file), logging_file=False)
    assert workflow.ask() is workflow.parser


def test_no_parser_outside_of_a_bundle_run() -> None:
    with pytest.raises(RuntimeError, match="must be called by an expression of a bundle's configuration"):
        current_parser()


@pytest.mark.filterwarnings("ignore:parsing config_file")
def test_files_of_a_bundle_run_are_as_they_are_written(tmp_path: Path) -> None:
    found: list[Any] = []
    base = {"imports": ["$from tests_of_config import ask"], "initialize": ["$ask()"], "lr": 0.1, "copy": "%lr"}
    overlay = {"lr": 0.2}
    files = []
    for name, config in (("train.yaml", base), ("overlay.json", overlay)):
        (tmp_path / name).write_text(json.dumps(config), encoding="utf-8")
        files.append(str(tmp_path / name))
    module = ModuleType("tests_of_config")
    module.ask = lambda: found.extend(current_files())  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tests_of_config", module)
        create_workflow(config_file=files, logging_file=False, lr=0.3)
    assert found == [base, overlay]


def test_files_of_a_workflow_from_python_are_unknown() -> None:
    assert current_files() == []


def test_metadata_is_left_out() -> None:
    assert resolved_config(parser_of({"_meta_": {"version": "0.1.0"}, "seed": 0})) == {"seed": 0}


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ("@max_epochs", 50),
        ("@train#roi_size", [144, 144]),
        ("@train::roi_size::0", 144),
        ("@chain", 50),
        (["@max_epochs", {"x": "@max_epochs"}], [50, {"x": 50}]),
        ("@network", "@network"),
        ("@expression", "@expression"),
        ("@mixed", "@mixed"),
        ("@circle", "@circle"),
        ("@unknown", "@unknown"),
        ("me@max_epochs", "me@max_epochs"),
        ("$@max_epochs + 1", "$@max_epochs + 1"),
    ],
)
def test_references_to_plain_values_are_replaced(value: object, resolved: object) -> None:
    config = {
        "max_epochs": 50,
        "train": {"roi_size": [144, 144]},
        "chain": "@max_epochs",
        "network": {"_target_": "UNet"},
        "expression": "$1 + 1",
        "mixed": {"plain": 1, "component": {"_target_": "UNet"}},
        "circle": "@circle",
        "value": value,
    }
    assert resolved_config(parser_of(config))["value"] == resolved


def test_relative_references_and_macros_are_replaced_before_parsing_too() -> None:
    config = {"a": {"b": 1, "c": "@#b"}, "run": "%a"}
    assert resolved_config(ConfigParser(config))["run"] == {"b": 1, "c": 1}


def test_parser_is_left_as_it_was() -> None:
    parser = ConfigParser({"a": 1, "b": ["@a"], "run": "%b"})
    resolved_config(parser)["b"].append(2)
    assert parser.get() == {"a": 1, "b": ["@a"], "run": "%b"}


def test_objects_from_python_are_described() -> None:
    config = resolved_config(parser_of({"device": Path, "size": (1, 2), 3: None}))
    assert json.loads(json.dumps(config)) == {"device": repr(Path), "size": [1, 2], "3": None}


def test_config_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(RuntimeError, match="must map ids to values, got list"):
        resolved_config(ConfigParser([1, 2]))


@pytest.mark.parametrize(
    ("config", "params"),
    [
        ({"train": {"trainer": {"max_epochs": 50}}}, {"train.trainer.max_epochs": "50"}),
        ({"amp": False, "note": None}, {"amp": "False", "note": "None"}),
        ({"roi_size": [144, 144]}, {"roi_size": "[144, 144]"}),
        ({"steps": [{"_target_": "Flip"}, "@load"]}, {"steps.0._target_": "Flip", "steps.1": "@load"}),
        ({"empty": {}, "none": []}, {"empty": "{}", "none": "[]"}),
        ({"a#b$": 1}, {"a_b_": "1"}),
        ({"uri": "http://me:secret@server"}, {"uri": "http://***@server"}),
    ],
)
def test_params_are_flat(config: dict[str, Any], params: dict[str, str]) -> None:
    assert config_params(config) == params


def test_params_keep_to_the_limits_of_mlflow() -> None:
    params = config_params({"x" * 300: "y" * 7000})
    assert [(len(key), len(value)) for key, value in params.items()] == [(250, 6000)]
    assert all(_validate_param(key, value) for key, value in params.items())

"""The places that name a version, a package or a check agree."""

from __future__ import annotations

import ast
import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pipeline

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[1]
BUNDLE = REPOSITORY / "bundles" / "cardiac_sax_segmentation"
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
# where the name to import is not the name to install
DISTRIBUTIONS = {"PIL": "pillow", "ignite": "pytorch-ignite", "pynvml": "nvidia-ml-py", "yaml": "PyYAML"}
# what the bundle's metadata pins outside required_packages_version
BUNDLE_KEYS = {"monai": "monai_version", "torch": "pytorch_version", "numpy": "numpy_version"}

Pins = dict[str, str]


def text_of(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


@cache
def project() -> dict[str, Any]:
    return tomllib.loads(text_of("pyproject.toml"))["project"]


@cache
def metadata() -> dict[str, Any]:
    return json.loads((BUNDLE / "configs" / "metadata.json").read_text(encoding="utf-8"))


def requirements(*extras: str) -> list[str]:
    return sum((project()["optional-dependencies"][extra] for extra in extras), list(project()["dependencies"]))


def pins(lines: list[str], python: str = "3.11", platform: str = "linux") -> Pins:
    """Map the canonical name to the version specifier, of those whose marker fits."""
    parsed = [Requirement(line) for line in lines]
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": platform}
    fitting = [item for item in parsed if item.marker is None or item.marker.evaluate(environment)]
    return {canonicalize_name(item.name): str(item.specifier) for item in fitting}


def lock_lines() -> list[str]:
    return [line for line in text_of("requirements.lock").splitlines() if line and not line.startswith("#")]


def pip_lines() -> list[str]:
    entries = yaml.safe_load(text_of("environment.yml"))["dependencies"]
    return next(entry["pip"] for entry in entries if isinstance(entry, dict))


@pytest.mark.parametrize("python", PYTHONS)
def test_every_dependency_is_pinned_once_for_each_python(python: str) -> None:
    names = {canonicalize_name(Requirement(line).name) for line in project()["dependencies"]}
    pinned = pins(project()["dependencies"], python)
    assert set(pinned) == names
    assert all(re.fullmatch(r"==[\w.]+", specifier) for specifier in pinned.values())


def test_environment_has_the_pins_of_pyproject() -> None:
    assert pins([line for line in pip_lines() if not line.startswith("--")]) == pins(project()["dependencies"])


def test_environment_installs_this_package_under_the_lock() -> None:
    assert {"--constraint requirements.lock", "--editable .[test]"} <= set(pip_lines())


def test_environment_has_the_python_of_its_pins() -> None:
    assert "python=3.11" in yaml.safe_load(text_of("environment.yml"))["dependencies"]


@pytest.mark.parametrize("platform", ["linux", "win32", "darwin"])
@pytest.mark.parametrize("python", PYTHONS)
def test_lock_covers_every_pin(python: str, platform: str) -> None:
    wanted = pins(requirements("test", "dev"), python, platform)
    locked = pins(lock_lines(), python, platform)
    assert {name: locked.get(name) for name in wanted} == wanted


def test_lock_names_no_build_of_one_machine() -> None:
    assert [line for line in lock_lines() if "+" in line or "@" in line or "://" in line] == []


def third_party_imports() -> set[str]:
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in (REPOSITORY / "pipeline").rglob("*.py"))
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"pipeline"}


def test_every_import_is_a_declared_dependency() -> None:
    imported = {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in third_party_imports()}
    assert imported - set(pins(project()["dependencies"])) == set()


def test_version_is_the_same_in_citation_and_changelog() -> None:
    assert yaml.safe_load(text_of("CITATION.cff"))["version"] == pipeline.__version__
    assert f"## {pipeline.__version__}" in text_of("CHANGELOG.md")


def test_bundle_asks_for_the_pinned_packages() -> None:
    asked = metadata()["required_packages_version"] | {name: metadata()[key] for name, key in BUNDLE_KEYS.items()}
    pinned = pins(project()["dependencies"])
    assert {name: pinned.get(canonicalize_name(name)) for name in asked} == {
        name: f"=={version}" for name, version in asked.items()
    }


def test_bundle_version_is_in_its_changelog() -> None:
    assert metadata()["version"] in metadata()["changelog"]


def test_bundle_has_the_license_of_the_project() -> None:
    assert (BUNDLE / "LICENSE").read_text(encoding="utf-8") == text_of("LICENSE")


def test_bundle_names_the_structures_in_the_order_of_the_labels() -> None:
    channels = metadata()["network_data_format"]["outputs"]["pred"]["channel_def"]
    assert channels == {
        "0": "background",
        "1": "right ventricle",
        "2": "left ventricular myocardium",
        "3": "left ventricular cavity",
    }


def test_bundle_metadata_has_the_input_of_the_configs() -> None:
    config = yaml.safe_load((BUNDLE / "configs" / "train.yaml").read_text(encoding="utf-8"))
    formats = metadata()["network_data_format"]
    for tensor in (formats["inputs"]["image"], formats["outputs"]["pred"]):
        assert tensor["spatial_shape"] == config["roi_size"]
    assert config["scale_intensity"]["_target_"] == "pipeline.transforms.ScaleIntensityPercentilesd"
    assert formats["inputs"]["image"]["value_range"] == [0, 1]


def test_pre_commit_and_make_run_the_four_checks() -> None:
    hooks = yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    checks = [hook["entry"].removeprefix("python -m ") for hook in hooks]
    assert checks == ["ruff check", "ruff format --check", "mypy pipeline", "pytest"]
    assert [check for check in checks if f"$(PY) -m {check}\n" not in text_of("Makefile")] == []
    assert "\n".join(checks) in text_of("CONTRIBUTING.md")


def test_continuous_integration_calls_the_same_script() -> None:
    jobs = yaml.safe_load(text_of(".github/workflows/ci.yml"))["jobs"]
    assert "bash .ci/run" in [step.get("run") for step in jobs["checks"]["steps"]]

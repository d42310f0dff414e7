"""A training as a folder that MLflow can load anywhere: weights, preprocessing, code, signature, requirements."""

from __future__ import annotations

import importlib.metadata
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from monai.bundle import ConfigParser

from pipeline.errors import InputError
from pipeline.labels import Structure
from pipeline.workflows.rerun import Recorded

REQUIREMENTS: tuple[str, ...] = (
    "torch",
    "monai",
    "pytorch-ignite",
    "mlflow",
    "numpy",
    "nibabel",
    "SimpleITK",
    "scipy",
    "pandas",
    "PyYAML",
    "tqdm",
    "psutil",
    "matplotlib",
    "Jinja2",
    "pydicom",
    "highdicom",
    "python-gdcm",
)
TRAVELLING = ("spatial_dims", "pixdim", "roi_size", "network_def")
"""Settings that belong to the weights: the training's, whatever the bundle's inference has today."""
_PACKAGE = Path(__file__).resolve().parents[1]


def serving_config(inference: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inference configuration that fits the weights of a training.

    Args:
        inference: the bundle's inference configuration.
        training: configuration of the training with references to plain values resolved.

    Returns:
        The inference configuration with the training's network, spacing, window, intensity scaling and inferer. What
        only inference knows, such as the scaling of each phase for itself, stays.
    """
    config = dict(inference)
    config |= {key: training[key] for key in TRAVELLING if key in training}
    if isinstance(config.get("scale_intensity"), dict):
        config["scale_intensity"] = {**config["scale_intensity"], **training.get("scale_intensity", {})}
    inferer = training.get("validate", {}).get("inferer")
    return config | ({"inferer": inferer} if inferer else {})


def read_inference_config(recorded: Recorded, bundle_root: str | Path = "") -> dict[str, Any]:
    """Read the inference configuration of the bundle that a run was trained with.

    Args:
        recorded: what the run has recorded.
        bundle_root: folder of the bundle today; where empty, where it lay.

    Raises:
        InputError: there is none.
    """
    root = Path(bundle_root) if bundle_root else recorded.working_directory / recorded.config.get("bundle_root", ".")
    path = Path(root, "configs", "inference.yaml")
    if not path.is_file():
        raise InputError(
            f"There is no inference configuration {path}. Give the bundle's folder of today: --bundle_root."
        )
    config: dict[str, Any] = ConfigParser.load_config_file(path)
    return config


def pinned_requirements() -> list[str]:
    """Return ``name==version`` of what the model needs, as installed here; what is not installed is left out."""
    pinned = []
    for name in REQUIREMENTS:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        # the build for one kind of machine (+cpu, +cu130) is on no index that pip asks
        pinned.append(f"{name}=={version.partition('+')[0]}")
    return pinned


def input_example() -> dict[str, Any]:
    """Return a request: two slices with a bright disk."""
    x, y = np.meshgrid(np.arange(32), np.arange(32), indexing="ij")
    disk = ((x - 16) ** 2 + (y - 16) ** 2 < 64).astype(float)
    return {"image": np.stack([disk, disk], axis=-1).tolist(), "spacing_mm": [1.5, 1.5, 8.0]}


def write_model(folder: Path, weights: Path, config: Mapping[str, Any], metadata: Mapping[str, Any]) -> Path:
    """Write the MLflow model.

    Args:
        folder: where to; must not exist.
        weights: ``model.pt`` of the training.
        config: see ``serving_config``.
        metadata: more for the file ``MLmodel``; the label map is added.

    Returns:
        The folder.
    """
    import mlflow.pyfunc

    parts = folder.parent / "parts"
    parts.mkdir(parents=True)
    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    (parts / "inference.yaml").write_text(text, encoding="utf-8")
    code = shutil.copytree(_PACKAGE, parts / _PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    with warnings.catch_warnings():
        # of MLflow, on optional columns and type hints
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(Path(__file__).with_name("served.py")),
            artifacts={"config": str(parts / "inference.yaml"), "weights": str(weights)},
            code_paths=[str(code)],
            signature=_signature(),
            input_example=input_example(),
            pip_requirements=pinned_requirements(),
            metadata={"label_map": {str(int(item)): item.name for item in Structure}, **metadata},
        )
    return folder


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, Array, ColSpec, DataType, ParamSchema, ParamSpec, Schema

    numbers = Array(DataType.double)
    inputs = Schema(
        [
            ColSpec(DataType.string, "path", required=False),
            ColSpec(DataType.binary, "nifti", required=False),
            ColSpec(AnyType(), "image", required=False),
            ColSpec(numbers, "spacing_mm", required=False),
        ]
    )
    outputs = Schema(
        [
            ColSpec(numbers, "rv_ml"),
            ColSpec(numbers, "myo_ml"),
            ColSpec(numbers, "lv_ml"),
            ColSpec(DataType.string, "mask_path", required=False),
            ColSpec(DataType.binary, "mask_nifti", required=False),
            ColSpec(AnyType(), "mask", required=False),
        ]
    )
    return ModelSignature(inputs, outputs, ParamSchema([ParamSpec("output_dir", DataType.string, "")]))

"""What MONAI and the model zoo's continuous integration ask of a bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import monai.bundle
import onnx
import pytest
import torch
from monai.bundle import ConfigParser, create_workflow
from torch import nn

pytestmark = [
    pytest.mark.filterwarnings("ignore:parsing config_file"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parents[1] / "bundles" / "cardiac_sax_segmentation"
CONFIGS = BUNDLE / "configs"
METADATA = str(CONFIGS / "metadata.json")
TINY = str(HERE / "tiny_inference.yaml")


def network_of(*files: str) -> nn.Module:
    parser = ConfigParser()
    parser.read_config([str(CONFIGS / "inference.yaml"), *files])
    return parser.get_parsed_content("network_def").eval()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights of the tiny network."""
    torch.manual_seed(0)
    torch.save(network_of(TINY).state_dict(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_metadata_fits_the_schema_of_monai(caplog: pytest.LogCaptureFixture) -> None:
    schema = HERE / "meta_schema_20240725.json"
    assert json.loads(Path(METADATA).read_text(encoding="utf-8"))["schema"].endswith(f"/{schema.name}")
    with caplog.at_level("INFO"):
        monai.bundle.verify_metadata(meta_file=METADATA, filepath=str(schema))
    assert "metadata is verified with no error" in caplog.text


@pytest.mark.parametrize("name", ["train", "inference"])
def test_network_maps_the_input_of_the_metadata_to_its_output(name: str) -> None:
    monai.bundle.verify_net_in_out(
        net_id="network_def", meta_file=METADATA, config_file=str(CONFIGS / f"{name}.yaml"), bundle_root=str(BUNDLE)
    )


def test_torchscript_of_the_weights_is_the_network(weights: Path, tmp_path: Path) -> None:
    files = [str(CONFIGS / "inference.yaml"), TINY]
    options = {"ckpt_file": str(weights), "meta_file": METADATA, "config_file": files, "bundle_root": str(BUNDLE)}
    monai.bundle.ckpt_export(net_id="network_def", filepath=str(tmp_path / "model.ts"), **options)
    network = network_of(TINY)
    network.load_state_dict(torch.load(weights, weights_only=True))
    image = torch.rand(2, 1, 48, 56)
    torch.testing.assert_close(torch.jit.load(tmp_path / "model.ts")(image), network(image))


def test_onnx_export_is_a_valid_model(weights: Path, tmp_path: Path) -> None:
    files = [str(CONFIGS / "inference.yaml"), TINY]
    options = {"ckpt_file": str(weights), "meta_file": METADATA, "config_file": files, "bundle_root": str(BUNDLE)}
    monai.bundle.onnx_export(net_id="network_def", filepath=str(tmp_path / "model.onnx"), **options)
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model)
    (output,) = model.graph.output
    assert output.type.tensor_type.shape.dim[1].dim_value == 4


@pytest.mark.parametrize("workflow_type", ["train", "training"])
def test_training_has_the_properties_of_monai(cohort: Path, tmp_path: Path, workflow_type: str) -> None:
    workflow = create_workflow(
        config_file=[str(CONFIGS / "train.yaml"), str(HERE / "tiny.yaml")],
        workflow_type=workflow_type,
        logging_file=False,
        dataset_dir=str(cohort),
        output_dir=str(tmp_path),
    )
    assert workflow.check_properties() == []


def test_inference_has_the_properties_of_monai(cohort: Path, tmp_path: Path, weights: Path) -> None:
    workflow = create_workflow(
        config_file=[str(CONFIGS / "inference.yaml"), TINY],
        workflow_type="inference",
        logging_file=False,
        dataset_dir=str(cohort),
        output_dir=str(tmp_path),
        ckpt_path=str(weights),
    )
    assert workflow.check_properties() == []


def test_monai_loads_the_weights_of_the_bundle(tmp_path: Path) -> None:
    folder = shutil.copytree(BUNDLE, tmp_path / "bundles" / BUNDLE.name)
    (folder / "models").mkdir(exist_ok=True)
    saved = network_of().state_dict()
    torch.save(saved, folder / "models" / "model.pt")
    loaded = monai.bundle.load(BUNDLE.name, bundle_dir=str(folder.parent), model=network_of())
    torch.testing.assert_close(dict(loaded.state_dict()), dict(saved), rtol=0, atol=0)


def test_zoo_runs_the_bundle_by_its_workflow(
    run_bundle: Callable[..., None], cohort: Path, tmp_path: Path, weights: Path
) -> None:
    options: dict[str, Any] = {"ckpt_path": str(weights), "meta_file": METADATA, "workflow_type": "inference"}
    workflow = create_workflow(
        config_file=[str(CONFIGS / "inference.yaml"), TINY],
        logging_file=False,
        dataset_dir=str(cohort / "patient001" / "patient001_frame01.nii.gz"),
        output_dir=str(tmp_path / "out"),
        record=False,
        **options,
    )
    workflow.run()
    workflow.finalize()
    assert (tmp_path / "out" / "patient001_frame01.nii.gz").is_file()

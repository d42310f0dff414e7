"""The back ends by ``inference.yaml``, the exports by MONAI's commands, and both together."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, create_workflow
from monai.networks.trt_compiler import get_dynamic_axes
from monai.networks.utils import convert_to_onnx
from torch import nn

from pipeline.errors import InputError, input_error_within
from pipeline.inference.backends.onnx_runtime import open_onnx

pytestmark = [
    pytest.mark.filterwarnings("ignore:parsing config_file"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parents[1] / "bundles" / "cardiac_sax_segmentation"
CONFIGS = BUNDLE / "configs"
TINY = HERE / "tiny_inference.yaml"
SCAN = "patient001/patient001_frame01.nii.gz"
# PyTorch for macOS comes without oneDNN
FASTEST = "fused" if torch.backends.mkldnn.is_available() else "folded"

Segment = Callable[..., Path]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_network: nn.Module) -> Path:
    """Folder with the weights of a tiny network, and what MONAI's commands export of them."""
    folder = tmp_path_factory.mktemp("models")
    torch.save(tiny_network.state_dict(), folder / "model.pt")
    options: dict[str, Any] = {
        "ckpt_file": str(folder / "model.pt"),
        "meta_file": str(CONFIGS / "metadata.json"),
        "config_file": [str(CONFIGS / "inference.yaml"), str(TINY)],
        "bundle_root": str(BUNDLE),
    }
    monai.bundle.ckpt_export(net_id="network_def", filepath=str(folder / "model.ts"), **options)
    free = str(CONFIGS / "onnx_export.yaml")
    monai.bundle.onnx_export(args_file=free, filepath=str(folder / "model.onnx"), **options)
    return folder


@pytest.fixture
def segment(run_bundle: Callable[..., None], cohort: Path, tmp_path: Path, models: Path) -> Segment:
    """Segment a phantom and return the mask's path."""

    def run(output: str, **settings: Any) -> Path:
        options = {"dataset_dir": str(cohort / SCAN), "output_dir": str(tmp_path / output), **settings}
        run_bundle("evaluating", "inference", TINY, **{"ckpt_path": str(models / "model.pt"), **options})
        return tmp_path / output / Path(SCAN).name

    return run


@pytest.fixture(scope="module")
def eager(cohort: Path, models: Path) -> np.ndarray:
    """The mask of the network itself."""
    files = [str(CONFIGS / "inference.yaml"), str(TINY)]
    options = {"dataset_dir": str(cohort / SCAN), "output_dir": str(models / "eager"), "record": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "excepthook", sys.excepthook)
        monai.bundle.run(
            "evaluating",
            config_file=files,
            bundle_root=str(BUNDLE),
            logging_file=False,
            backend="eager",
            ckpt_path=str(models / "model.pt"),
            **options,
        )
    return voxels(models / "eager" / Path(SCAN).name)


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


@pytest.mark.parametrize("backend", ["folded", FASTEST, "torchscript", "onnx", "openvino"])
def test_mask_is_that_of_eager(segment: Segment, eager: np.ndarray, backend: str) -> None:
    assert set(np.unique(eager)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(voxels(segment(backend, backend=backend)), eager)


@pytest.mark.parametrize("backend", ["eager", "folded", FASTEST])
def test_mask_of_mixed_precision_is_nearly_that_of_eager(segment: Segment, eager: np.ndarray, backend: str) -> None:
    mixed = voxels(segment("mixed", backend=backend, amp="true"))
    assert 0 < np.mean(mixed != eager) < 0.02


def test_mixed_precision_is_switched_off_by_the_word(segment: Segment, eager: np.ndarray) -> None:
    np.testing.assert_array_equal(voxels(segment("exact", backend="eager", amp="false")), eager)


@pytest.mark.parametrize(("word", "enabled"), [("true", True), ("false", False)])
def test_training_and_evaluation_take_the_same_word(word: str, enabled: bool, models: Path) -> None:
    parser = ConfigParser()
    parser.read_config([str(CONFIGS / "train.yaml"), str(CONFIGS / "evaluate.yaml")])
    parser.update({"amp": word, "device": torch.device("cpu")})
    assert parser.get_parsed_content("train#inferer").enabled is enabled
    parser["device"] = torch.device("cuda")
    parser.parse(reset=True)
    assert (parser.get_parsed_content("precision") == "float16") is enabled


@pytest.mark.parametrize(
    ("file", "backend"), [("model.ts", "torchscript"), ("model.onnx", "onnx"), ("model.onnx", "openvino")]
)
def test_exported_file_segments_as_eager_without_the_weights(
    segment: Segment, eager: np.ndarray, models: Path, file: str, backend: str
) -> None:
    exported = segment("exported", backend=backend, exported_file=str(models / file), ckpt_path="missing.pt")
    np.testing.assert_array_equal(voxels(exported), eager)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backend": "fast"}, "backend must be one of eager, folded, .* got 'fast'"),
        ({"backend": "onnx", "exported_file": "missing.onnx"}, r"there is no exported_file missing\.onnx"),
        ({"exported_file": "model.onnx"}, r"model\.onnx needs --backend onnx or openvino, got (fused|folded)"),
    ],
)
def test_back_end_is_refused_before_scans_are_looked_for(
    segment: Segment, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(RuntimeError) as caught:
        segment("refused", dataset_dir="missing", **settings)
    with pytest.raises(InputError, match=message):
        raise input_error_within(caught.value) or caught.value


def test_export_of_one_size_is_refused_with_the_way_out(
    segment: Segment, tiny_network: nn.Module, tmp_path: Path
) -> None:
    image = torch.rand(1, 1, 48, 48)
    torch.onnx.export(tiny_network, (image,), tmp_path / "fixed.onnx", dynamo=False)
    with pytest.raises(RuntimeError) as caught:
        segment("fixed", backend="onnx", exported_file=str(tmp_path / "fixed.onnx"))
    with pytest.raises(InputError, match=r"fixed\.onnx does not take images of shape .* Export .* with dynamic axes"):
        raise input_error_within(caught.value) or caught.value


def test_report_names_the_exported_file(segment: Segment, models: Path) -> None:
    path = segment("named", backend="torchscript", exported_file=str(models / "model.ts"), report="true")
    page = (path.parent / "report.html").read_text(encoding="utf-8")
    assert "model.ts" in page
    assert "model.pt" not in page


def test_network_of_an_evaluation_is_that_of_the_validation_unless_asked() -> None:
    parser = ConfigParser()
    parser.read_config([str(CONFIGS / "train.yaml"), str(CONFIGS / "evaluate.yaml")])
    assert parser["backend"] == "eager"
    assert "@backend" in parser["eval_network"]


# --- TensorRT: without a GPU, only the way to the engine --------------------------------------------------------------


@pytest.fixture
def tensorrt(cohort: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    return create_workflow(
        config_file=[str(CONFIGS / "inference.yaml"), str(TINY), str(CONFIGS / "inference_trt.yaml")],
        workflow_type="inference",
        logging_file=False,
        dataset_dir=str(cohort / SCAN),
        output_dir=str(tmp_path / "out"),
        ckpt_path=str(models / "model.pt"),
        record=False,
    )


def test_tensorrt_overlay_has_the_properties_of_monai(tensorrt: Any) -> None:
    assert tensorrt.check_properties() == []


def test_tensorrt_overlay_runs_by_pytorch_without_tensorrt(tensorrt: Any, eager: np.ndarray, tmp_path: Path) -> None:
    tensorrt.run()
    np.testing.assert_array_equal(voxels(tmp_path / "out" / Path(SCAN).name), eager)


def test_model_that_tensorrt_would_get_takes_its_profiles(tensorrt: Any, tmp_path: Path) -> None:
    network, arguments = (tensorrt.parser.get_parsed_content(id_) for id_ in ("network", "trt_args"))
    (profile,) = arguments["input_profiles"]
    axes = get_dynamic_axes(arguments["input_profiles"])
    path = tmp_path / "trt.onnx"
    image = {"x": torch.rand(profile["x"][1])}
    options = {"filename": str(path), "input_names": ["x"], "dynamic_axes": axes, **arguments["export_args"]}
    convert_to_onnx(network, image, output_names=[], **options)
    for shape in profile["x"]:
        smaller = torch.rand(1, *shape[1:])
        torch.testing.assert_close(open_onnx(path)(smaller), network(smaller), rtol=0, atol=1e-4)

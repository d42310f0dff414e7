"""Every back end on real volumes, and every exported file, as the bundle runs them: its configuration and weights."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from pipeline.inference.backends import Backend
from pipeline.workflows import load_backend

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.filterwarnings("ignore:parsing config_file"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]

BUNDLE = Path(__file__).resolve().parents[3] / "bundles" / "cardiac_sax_segmentation"
WEIGHTS = BUNDLE / "models" / "model.pt"
# torch.compile works for minutes on each: one volume shows it
BACKENDS = [item.value for item in Backend if item not in (Backend.EAGER, Backend.COMPILE)]
CASES = ("patient001/patient001_frame01", "patient034/patient034_frame16", "patient091/patient091_frame01")

EXPORTS = [("torchscript", "model.ts"), ("onnx", "model.onnx"), ("openvino", "model.onnx"), ("openvino", "model.xml")]
# the command ovc, which does not tell its vendor of it
SILENT_OVC = (
    "import sys; sys.modules['openvino_telemetry'] = None; from openvino.tools.ovc.main import main; sys.exit(main())"
)

Predict = Callable[[str], torch.Tensor]


def predictor(case: str, real_data_dir: Path) -> Predict:
    """Make what predicts the logits of a volume of ACDC by a back end."""
    parser = ConfigParser()
    parser.read_config(str(BUNDLE / "configs" / "inference.yaml"))
    parser["dataset_dir"] = str(real_data_dir / "acdc" / "training" / f"{case}.nii.gz")
    image, inferer = parser.get_parsed_content("dataset")[0]["image"][None], parser.get_parsed_content("inferer")

    def run(backend: str) -> torch.Tensor:
        network = load_backend(parser.get_parsed_content("network_def"), WEIGHTS, torch.device("cpu"), backend)
        with torch.no_grad():
            return inferer(image, network).as_tensor()

    return run


@pytest.mark.parametrize(
    ("case", "backend"), [*((case, backend) for case in CASES for backend in BACKENDS), (CASES[0], "compile")]
)
def test_logits_and_masks_are_those_of_eager(real_data_dir: Path, case: str, backend: str) -> None:
    predict = predictor(case, real_data_dir)
    logits, eager = predict(backend), predict("eager")
    torch.testing.assert_close(logits, eager, rtol=0, atol=1e-3)
    assert torch.equal(logits.argmax(dim=1), eager.argmax(dim=1))


# --- exported files ---------------------------------------------------------------------------------------------------


def run_python(*words: str) -> None:
    result = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with what the commands of the bundle's docs/README.md, section Exports, make of the weights that ship."""
    folder = tmp_path_factory.mktemp("exports")
    configs = BUNDLE / "configs"
    common = [f"--ckpt_file={WEIGHTS}", f"--meta_file={configs / 'metadata.json'}"]
    common += [f"--config_file={configs / 'inference.yaml'}"]
    run_python("-m", "monai.bundle", "ckpt_export", "network_def", f"--filepath={folder / 'model.ts'}", *common)
    free = f"--args_file={configs / 'onnx_export.yaml'}"
    run_python("-m", "monai.bundle", "onnx_export", free, f"--filepath={folder / 'model.onnx'}", *common)
    files = (str(folder / "model.onnx"), "--output_model", str(folder / "model.xml"))
    run_python("-c", SILENT_OVC, *files, "--compress_to_fp16=False")
    return folder


@pytest.fixture
def segment(real_data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., np.ndarray]:
    """Segment a volume of ACDC by ``inference.yaml`` in float32 and return its mask."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def run(case: str, backend: str, **settings: Any) -> np.ndarray:
        scan, out = real_data_dir / "acdc" / "training" / f"{case}.nii.gz", tmp_path / backend
        monai.bundle.run(
            "evaluating",
            config_file=str(BUNDLE / "configs" / "inference.yaml"),
            bundle_root=str(BUNDLE),
            logging_file=False,
            dataset_dir=str(scan),
            output_dir=str(out),
            record=False,
            amp="false",
            backend=backend,
            **settings,
        )
        return np.asarray(nib.load(out / scan.name).dataobj)

    return run


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("backend", "file"), EXPORTS)
def test_exported_file_segments_as_eager(
    segment: Callable[..., np.ndarray], exports: Path, case: str, backend: str, file: str
) -> None:
    exported = segment(case, backend, exported_file=str(exports / file), ckpt_path="missing.pt")
    assert np.unique(exported).tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(exported, segment(case, "eager"))

"""Every back end on real volumes, as the bundle runs it: its configuration and its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from pipeline.inference.backends import Backend
from pipeline.workflows import load_backend

pytestmark = pytest.mark.realdata

BUNDLE = Path(__file__).resolve().parents[3] / "bundles" / "cardiac_sax_segmentation"
WEIGHTS = BUNDLE / "models" / "model.pt"
# torch.compile works for minutes on each: one volume shows it
BACKENDS = [item.value for item in Backend if item not in (Backend.EAGER, Backend.COMPILE)]
CASES = ("patient001/patient001_frame01", "patient034/patient034_frame16", "patient091/patient091_frame01")

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

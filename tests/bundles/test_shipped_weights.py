"""The weights that ship: small, plain, quick, and they segment a heart that they never saw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pipeline.data.phantom import PhantomCase, make_phantom_case
from pipeline.labels import Structure

pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "cardiac_sax_segmentation"
WEIGHTS = BUNDLE / "models" / "model.pt"
MB = 10**6


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    return torch.load(WEIGHTS, weights_only=True)


@pytest.fixture(scope="module")
def network(state: dict[str, Any]) -> nn.Module:
    """The network of ``inference.yaml``, which takes these weights and no others."""
    parser = ConfigParser()
    parser.read_config(str(BUNDLE / "configs" / "inference.yaml"))
    network: nn.Module = parser.get_parsed_content("network_def")
    network.load_state_dict(state, strict=True)
    return network.eval()


def test_file_has_15_mb_at_most() -> None:
    assert WEIGHTS.stat().st_size <= 15 * MB


def test_file_is_a_flat_dictionary_of_plain_tensors(state: dict[str, Any]) -> None:
    assert {type(key) for key in state} == {str}
    assert {type(value) for value in state.values()} == {torch.Tensor}


def test_network_has_5_million_parameters_at_most(network: nn.Module) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) <= 5 * 10**6


def test_slice_costs_8_gflop_at_most(network: nn.Module) -> None:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 1, 256, 256))
    # two for a multiply-add: 6.232 when this was written; none would be no count
    assert 1e9 < counter.get_total_flops() <= 8e9


@pytest.fixture(scope="module")
def phantom() -> PhantomCase:
    """A normal heart at end-diastole: 10 slices of 128 x 112 pixels of 1.6 x 1.8 mm."""
    return make_phantom_case(seed=0)


@pytest.fixture
def mask(phantom: PhantomCase, run_bundle: Callable[..., None], tmp_path: Path) -> nib.Nifti1Image:
    """What the README's first command of inference leaves, without its record in MLflow."""
    nib.save(nib.Nifti1Image(phantom.image, phantom.affine), tmp_path / "scan.nii.gz")
    run_bundle("evaluating", "inference", dataset_dir=str(tmp_path / "scan.nii.gz"))
    return nib.load(tmp_path / "out" / "scan.nii.gz")


def test_phantom_is_segmented_on_its_own_grid(mask: nib.Nifti1Image, phantom: PhantomCase) -> None:
    assert mask.shape == phantom.image.shape
    np.testing.assert_allclose(mask.affine, phantom.affine, atol=1e-4)  # headers keep float32
    predicted, truth = (np.asarray(labels) == Structure.LV for labels in (mask.dataobj, phantom.label))
    dice = 2 * np.count_nonzero(predicted & truth) / (np.count_nonzero(predicted) + np.count_nonzero(truth))
    assert dice > 0.9  # 0.96 to 0.98 when this was written

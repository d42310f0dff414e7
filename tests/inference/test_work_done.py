"""How much work a cine costs, counted: what a slower machine or a busy one cannot blur."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator
from monai.transforms import AsDiscreted, Compose, EnsureChannelFirstd, Invertd
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.data.phantom.cine_study import CineStudy
from pipeline.data.phantom.dicom import write_cine_dicom
from pipeline.data.scans import find_scans
from pipeline.inference import cohort
from pipeline.inference.collate import collate_phases
from pipeline.inference.heart_window import HeartWindowInferer
from pipeline.inference.study import study_options
from pipeline.transforms import CheckImaged, LoadVolumed, OrientInPlaned

PHASE_VOXELS = 32 * 24 * 4
PHASES = 6
LOGITS = PHASE_VOXELS * 4 * 4  # bytes of a phase: four classes, float32


class CountingNetwork(torch.nn.Module):
    """Gives class k where the intensity is k; remembers the shape of each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.batches.append(tuple(x.shape))
        classes = torch.arange(4.0).reshape(1, 4, 1, 1)
        return classes * x - classes**2 / 2


class LargestTensor(TorchDispatchMode):
    """Remembers the bytes of the largest tensor that an operation returned."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel() * tensor.element_size())
        return out


def heart() -> np.ndarray:
    """Six phases of four slices of 32 x 24, a heart of three structures and 6 x 6 pixels in the middle of each."""
    labels = np.zeros((32, 24, 4, PHASES), dtype=np.uint8)
    labels[13:19, 9:15], labels[14:18, 10:14], labels[15:17, 11:13] = 1, 2, 3
    return labels


@pytest.fixture
def network() -> CountingNetwork:
    return CountingNetwork()


@pytest.fixture
def segment(tmp_path: Path, network: CountingNetwork) -> Callable[..., Path]:
    """Segment a scan, with its report, and return the file of the mask."""
    preprocessing = Compose(
        [
            LoadVolumed("image"),
            EnsureChannelFirstd("image"),
            CheckImaged("image", allow_phases=True),
            OrientInPlaned("image"),
        ]
    )

    def run(scan: Path) -> Path:
        dataset = Dataset(find_scans(scan), preprocessing)
        evaluator = SupervisedEvaluator(
            device=torch.device("cpu"),
            val_data_loader=DataLoader(dataset, collate_fn=collate_phases),
            network=network,
            inferer=HeartWindowInferer(-1, 16, sw_batch_size=4, margin=2, find_slices=2, find_phases=2),
            postprocessing=Compose(
                [Invertd("pred", preprocessing, orig_keys="image"), AsDiscreted("pred", argmax=True)]
            ),
        )
        options = study_options(report=True, dicom_seg="none", dicom_sr=False)
        result = cohort.segment_cohort(evaluator, tmp_path / "out", progress=False, options=options)
        return tmp_path / "out" / result.scans[0].output

    return run


@pytest.fixture
def groups_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set how many phases of this cine form a group."""

    def set_size(phases: int) -> None:
        monkeypatch.setattr("pipeline.inference.prediction.GROUP_VOXELS", phases * PHASE_VOXELS)

    return set_size


@pytest.fixture
def cine(save_scan: Callable[..., Path]) -> Path:
    return save_scan("cine.nii.gz", heart())


@pytest.mark.parametrize("phases", [1, 2, PHASES])
def test_masks_are_the_same_in_groups_of_any_size(
    cine: Path, segment: Callable[..., Path], groups_of: Callable[[int], None], phases: int
) -> None:
    groups_of(phases)
    np.testing.assert_array_equal(nib.load(segment(cine)).dataobj, heart())


@pytest.mark.parametrize("phases", [2, PHASES])
def test_windows_of_a_cine_are_counted(
    cine: Path,
    segment: Callable[..., Path],
    network: CountingNetwork,
    groups_of: Callable[[int], None],
    phases: int,
) -> None:
    groups_of(phases)
    segment(cine)
    # looked for in 2 slices of 2 phases; then 6 phases x 4 slices = 24 windows of 6 + 2 * 2 -> 16 pixels, 4 at once
    assert network.batches == [(4, 1, 32, 24)] + 6 * [(4, 1, 16, 16)]


@pytest.mark.parametrize("phases", [1, 2, PHASES])
def test_largest_tensor_is_the_prediction_of_one_group(
    cine: Path, segment: Callable[..., Path], groups_of: Callable[[int], None], phases: int
) -> None:
    groups_of(phases)
    with LargestTensor() as seen:
        segment(cine)
    # the cine itself is that of 6 x 1 channel
    assert seen.largest == max(phases, PHASES / 4) * LOGITS


def test_nifti_file_is_unpacked_once(cine: Path, segment: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    unpack = nib.arrayproxy.ArrayProxy._get_unscaled
    monkeypatch.setattr(
        nib.arrayproxy.ArrayProxy, "_get_unscaled", lambda self, slicer: read.append(slicer) or unpack(self, slicer)
    )
    segment(cine)
    assert len(read) == PHASES


def test_dicom_file_is_decoded_once(
    tmp_path: Path, segment: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.data.dicom import pixels

    affine = np.diag([-1.5, -1.5, 8.0, 1.0])
    write_cine_dicom(tmp_path / "study", CineStudy(heart().astype(np.uint16), affine, rr_ms=900.0))
    decoded: list[str] = []
    decode = pixels._decode
    monkeypatch.setattr(pixels, "_decode", lambda path, *size: decoded.append(path) or decode(path, *size))
    segment(tmp_path / "study")
    assert len(decoded) == len(set(decoded)) == 4 * PHASES

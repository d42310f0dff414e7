"""Oblique, anisotropic scans as files, and an evaluator that knows what their mask must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator
from monai.transforms import AsDiscreted, Compose, EnsureChannelFirstd, Invertd, LoadImaged, SpatialPadd

from pipeline.inference.collate import collate_phases
from pipeline.inference.inferer import SliceWindowInferer
from pipeline.transforms.check_image import CheckImaged
from pipeline.transforms.orientation import OrientInPlaned

SHAPE = (6, 5, 3)


def oblique_affine() -> np.ndarray:
    """Spacing 1.5 x 2 x 8 mm, turned by 30 degrees about x: a voxel has 0.024 mL."""
    cos, sin = np.cos(np.pi / 6), np.sin(np.pi / 6)
    affine = np.diag([-1.5, 2.0, 8.0, 1.0])
    affine[1:3, 1:3] = np.array([[cos, -sin], [sin, cos]]) @ np.diag([2.0, 8.0])
    affine[:3, 3] = [30.0, -20.0, 10.0]
    return affine


@pytest.fixture
def save_scan(tmp_path: Path) -> Callable[..., Path]:
    """Write voxels below ``tmp_path/scans`` as int16 NIfTI on the oblique grid."""

    def save(name: str, voxels: np.ndarray) -> Path:
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = nib.Nifti1Image(voxels.astype(np.int16), oblique_affine())
        image.header.set_xyzt_units("mm", "sec")
        nib.save(image, path)
        return path

    return save


@pytest.fixture
def labels() -> np.ndarray:
    """A volume of class values with 1 RV, 2 MYO and 3 LV voxels; as intensities they tell their class."""
    voxels = np.zeros(SHAPE, dtype=np.int64)
    voxels[1, 2, 0] = 1
    voxels[2, 1:3, 1] = 2
    voxels[4, 1:4, 2] = 3
    return voxels


class ClassOfIntensity(torch.nn.Module):
    """1x1 convolution whose class k has the highest logit where the intensity is k: logit = kx - k²/2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 4, kernel_size=1)
        classes = torch.arange(4.0)
        self.conv.weight.data = classes.reshape(4, 1, 1, 1)
        self.conv.bias.data = -(classes**2) / 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


@pytest.fixture
def make_evaluator() -> Callable[..., SupervisedEvaluator]:
    """Build the evaluator of a datalist: oriented, padded, segmented by intensity, inverted."""
    return cohort_evaluator


def cohort_evaluator(datalist: Sequence[dict[str, Any]], num_workers: int = 0, **kwargs: Any) -> SupervisedEvaluator:
    """See ``make_evaluator``; processes of their own import this."""
    preprocessing = Compose(
        [
            LoadImaged("image", image_only=True),
            EnsureChannelFirstd("image"),
            CheckImaged("image", allow_phases=True),
            OrientInPlaned("image"),
            SpatialPadd("image", (9, 9, -1)),
        ]
    )
    postprocessing = [Invertd("pred", preprocessing, orig_keys="image"), AsDiscreted("pred", argmax=True)]
    dataset = Dataset(list(datalist), preprocessing)
    return SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(dataset, num_workers=num_workers, collate_fn=collate_phases),
        network=ClassOfIntensity(),
        inferer=SliceWindowInferer(roi_size=(16, 16), sw_batch_size=4),
        postprocessing=Compose(postprocessing),
        **kwargs,
    )

from __future__ import annotations

import torch
from monai.transforms import Compose, RandSpatialCropd

from pipeline.data.windows import WindowDataset


def windows() -> WindowDataset:
    volumes = [{"image": torch.arange(64.0).view(1, 4, 4, 4)}]
    return WindowDataset(volumes, Compose([RandSpatialCropd("image", (2, 2, 2), random_size=False)]))


def first_voxels(dataset: WindowDataset, seed: int) -> list[float]:
    dataset.set_random_state(seed=seed)
    return [float(dataset[0]["image"].flatten()[0]) for _ in range(8)]


def test_same_seed_cuts_the_same_windows() -> None:
    dataset = windows()
    assert first_voxels(dataset, 3) == first_voxels(dataset, 3)


def test_other_seed_cuts_others() -> None:
    assert first_voxels(windows(), 3) != first_voxels(windows(), 4)

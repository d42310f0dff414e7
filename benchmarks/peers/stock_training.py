"""Train the bundle's network by a stock MONAI pipeline, and say how long the epochs took.

    python benchmarks/peers/stock_training.py DATASET_DIR [--epochs 4] [--num_workers 0]

What MONAI's tutorials do: a CacheDataset of the volumes, random transforms a sample, a DataLoader, SupervisedTrainer.
The augmentations are of the kinds and ranges of train.yaml, by MONAI's own transforms. The last line is JSON:
``epochs``, each with ``wall_s`` and ``iterations``; the first one warms up and is left out.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser
from monai.data import CacheDataset, DataLoader
from monai.engines import SupervisedTrainer
from monai.losses import DiceCELoss
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    LoadImaged,
    Rand2DElasticd,
    RandAdjustContrastd,
    RandAffined,
    RandBiasFieldd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandSpatialCropSamplesd,
    ScaleIntensityRangePercentilesd,
    Spacingd,
    SpatialPadd,
    SqueezeDimd,
)

from pipeline.data import acdc_datalist, make_split

TRAIN_YAML = Path(__file__).resolve().parents[2] / "bundles/cardiac_sax_segmentation/configs/train.yaml"
KEYS = ("image", "label")
WINDOW = (176, 176)
ROI = (128, 128)
SLICES_A_VOLUME = 8
VOLUMES_A_BATCH = 1


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset_dir", type=Path)
    parser.add_argument("--epochs", type=int, default=4, help="the first warms up (default: 4)")
    parser.add_argument("--num_workers", type=int, default=0, help="of the DataLoader (default: 0)")
    options = parser.parse_args()
    data = make_split(acdc_datalist(options.dataset_dir)).train
    loader = DataLoader(
        CacheDataset(data, Compose([*cached(), *augmentation()]), progress=False),
        batch_size=VOLUMES_A_BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=options.num_workers,
        persistent_workers=options.num_workers > 0,
    )
    trainer = make_trainer(loader, options.epochs)
    found = watch_epochs(trainer)
    trainer.run()
    print(json.dumps({"epochs": found}))


def cached() -> list[Any]:
    """Return what happens once a volume."""
    return [
        LoadImaged(KEYS),
        EnsureChannelFirstd(KEYS),
        Spacingd(KEYS, pixdim=(1.25, 1.25, -1.0), mode=("bilinear", "nearest")),
        ScaleIntensityRangePercentilesd("image", 1, 99, 0.0, 1.0, clip=True),
        SpatialPadd(KEYS, (*WINDOW, -1)),
    ]


def augmentation() -> list[Any]:
    """Return what happens to each sample."""
    mode, turn = ("bilinear", "nearest"), math.radians(40)
    return [
        RandSpatialCropSamplesd(KEYS, (*WINDOW, 1), num_samples=SLICES_A_VOLUME, random_size=False),
        SqueezeDimd(KEYS, dim=-1),
        RandAffined(KEYS, ROI, 1.0, turn, 0.1, None, (-0.25, 0.33), mode=mode, padding_mode="zeros"),
        Rand2DElasticd(KEYS, (30, 30), (0.0, 4.0), prob=0.3, mode=mode, padding_mode="zeros"),
        RandAdjustContrastd("image", prob=0.4, gamma=(0.6, 1.7)),
        RandScaleIntensityd("image", factors=0.25, prob=0.3),
        RandBiasFieldd("image", prob=0.3),
        RandGaussianSmoothd("image", prob=0.2),
        RandGaussianNoised("image", prob=0.3, std=0.08),
    ]


def make_trainer(loader: DataLoader, epochs: int) -> SupervisedTrainer:
    """Return MONAI's trainer with the network, loss and optimizer of train.yaml."""
    config = ConfigParser()
    config.read_config(str(TRAIN_YAML))
    network = config.get_parsed_content("network_def")
    return SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=loader,
        network=network,
        optimizer=torch.optim.AdamW(network.parameters(), lr=0.002),
        loss_function=DiceCELoss(to_onehot_y=True, softmax=True, include_background=False, batch=True),
        decollate=False,
    )


def watch_epochs(trainer: Engine) -> list[dict[str, Any]]:
    """Return a list that fills with the epochs after the first."""
    found: list[dict[str, Any]] = []
    start = [0.0]

    @trainer.on(Events.EPOCH_STARTED)
    def started(engine: Engine) -> None:
        start[0] = time.perf_counter()

    @trainer.on(Events.EPOCH_COMPLETED)
    def completed(engine: Engine) -> None:
        if engine.state.epoch > 1:
            wall_s = time.perf_counter() - start[0]
            found.append({"wall_s": wall_s, "iterations": engine.state.epoch_length})

    return found


if __name__ == "__main__":
    main()

from __future__ import annotations

import torch
from monai.transforms import Compose

from pipeline.engines import PrepareAugmentedBatch
from pipeline.transforms.batch import RandAffineBatchd, RandNoiseBatchd


def batch() -> dict[str, torch.Tensor]:
    return {"image": torch.rand(2, 1, 8, 8), "label": torch.ones(2, 1, 8, 8, dtype=torch.uint8)}


def test_batch_is_augmented_as_a_whole() -> None:
    augmentation = Compose([RandAffineBatchd(["image", "label"], [4, 4]), RandNoiseBatchd("image", prob=1.0)])
    image, label = PrepareAugmentedBatch(augmentation)(batch(), "cpu")
    assert image.shape == label.shape == (2, 1, 4, 4)
    assert label.dtype == torch.uint8


def test_augmentation_sees_the_batch_on_its_device_and_nothing_else() -> None:
    seen: dict[str, str] = {}

    def augmentation(data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        seen.update({key: value.device.type for key, value in data.items()})
        return data

    PrepareAugmentedBatch(augmentation)({**batch(), "case_id": ["a", "b"]}, torch.device("meta"))
    assert seen == {"image": "meta", "label": "meta"}


def test_to_kwargs_of_the_trainer_reach_the_batch() -> None:
    image, _ = PrepareAugmentedBatch(lambda data: data)(batch(), "cpu", dtype=torch.float64)
    assert image.dtype == torch.float64


def test_batch_of_the_loader_is_untouched() -> None:
    loaded = batch()
    before = loaded["image"].clone()
    PrepareAugmentedBatch(RandNoiseBatchd("image", prob=1.0))(loaded, "cpu")
    assert torch.equal(loaded["image"], before)

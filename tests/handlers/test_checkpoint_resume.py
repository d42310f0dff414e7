"""A training that was cut off and goes on is the training that was not, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from ignite.metrics import Average
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import LrScheduleHandler, ValidationHandler
from monai.losses import DiceCELoss
from monai.transforms import Compose
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, DistributedSampler

from pipeline.data.slices import SliceDataset
from pipeline.engines import PrepareAugmentedBatch
from pipeline.handlers import (
    EarlyStop,
    GradientClipping,
    RequireFiniteLoss,
    SeedEachEpoch,
    TrainingCheckpoint,
    WeightAverage,
    load_checkpoint,
)
from pipeline.networks import ASPPNet
from pipeline.transforms.batch import RandAffineBatchd, RandNoiseBatchd

EPOCHS = 4
CUT_OFF = 2


def volumes() -> list[dict[str, torch.Tensor]]:
    """Two stacks of five noisy slices with a square that is bright and labelled."""
    generator = torch.Generator().manual_seed(0)
    label = torch.zeros(1, 20, 20, 5, dtype=torch.uint8)
    label[0, 6:14, 8:15] = 1
    return [{"image": label + torch.rand(label.shape, generator=generator), "label": label} for _ in range(2)]


class Training:
    """All that the bundle's training has: schedule, average, early stop, augmentation, sampler, dropout."""

    def __init__(self, directory: Path) -> None:
        torch.manual_seed(0)
        dataset = SliceDataset(volumes(), (16, 16), jitter=3, anywhere_prob=0.3)
        sampler = DistributedSampler(dataset, num_replicas=1, rank=0, shuffle=True, seed=0)
        loader = DataLoader(dataset, 3, sampler=sampler, drop_last=True, generator=torch.Generator())
        augmentation = Compose([RandAffineBatchd(["image", "label"], [12, 12]), RandNoiseBatchd("image", prob=0.5)])
        network = ASPPNet(
            out_channels=2, channels=(4, 6), strides=(1, 2), num_res_units=(1, 1), dilations=(1, 2), dropout=0.3
        )
        optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
        schedule = OneCycleLR(optimizer, 0.01, epochs=EPOCHS, steps_per_epoch=len(loader))
        self.ema = WeightAverage(network, momentum=0.2)
        self.early_stop = EarlyStop(patience=EPOCHS)
        self.evaluator = evaluator_of(self.ema.ema_model)
        objects = {
            "network": network,
            "optimizer": optimizer,
            "schedule": schedule,
            "ema": self.ema,
            "early_stop": self.early_stop,
        }
        self.checkpoint = TrainingCheckpoint(directory, objects, self.ema.ema_model, self.evaluator)
        self.trainer = SupervisedTrainer(
            device="cpu",
            max_epochs=EPOCHS,
            train_data_loader=loader,
            network=network,
            optimizer=optimizer,
            loss_function=DiceCELoss(to_onehot_y=True, softmax=True, batch=True),
            prepare_batch=PrepareAugmentedBatch(augmentation),
            train_handlers=[
                SeedEachEpoch(0, [dataset, augmentation]),
                RequireFiniteLoss(),
                GradientClipping(1.0),
                LrScheduleHandler(schedule, print_lr=False, epoch_level=False),
                self.ema,
                ValidationHandler(1, self.evaluator),
                self.checkpoint,
            ],
            decollate=False,
        )
        self.early_stop.watch(self.evaluator, self.trainer)
        self.losses: list[float] = []
        self.trainer.add_event_handler(Events.ITERATION_COMPLETED, self._note)

    def _note(self, engine: Engine) -> None:
        self.losses.append(engine.state.output["loss"].item())

    def cut_off(self) -> None:
        """Train until the middle of an epoch."""

        def kill(engine: Engine) -> None:
            if engine.state.epoch == CUT_OFF + 1 and len(self.losses) % 3 == 2:
                raise KeyboardInterrupt

        self.trainer.add_event_handler(Events.ITERATION_COMPLETED, kill)
        with pytest.raises(KeyboardInterrupt):
            self.trainer.run()

    def last(self) -> dict[str, Any]:
        return load_checkpoint(self.checkpoint.last_path)


def evaluator_of(network: torch.nn.Module) -> SupervisedEvaluator:
    """Takes a number for the Dice that depends on the weights and gets better and worse."""
    batch = {"image": volumes()[0]["image"][..., 0][None], "label": volumes()[0]["label"][..., 0][None]}
    return SupervisedEvaluator(
        device="cpu",
        val_data_loader=[batch],
        network=network,
        key_val_metric={"val_mean_dice": Average(output_transform=lambda output: float(output["pred"].cos().mean()))},
        decollate=False,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """Four epochs at a stretch."""
    training = Training(tmp_path_factory.mktemp("whole"))
    training.trainer.run()
    return training


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """Cut off in the third epoch; a new program goes on, in another state of chance."""
    directory = tmp_path_factory.mktemp("resumed")
    Training(directory).cut_off()
    training = Training(directory)
    torch.manual_seed(99)
    training.checkpoint.resume(training.trainer)
    training.trainer.run()
    return training


def test_losses_of_the_remaining_epochs_are_equal(whole: Training, resumed: Training) -> None:
    assert len(whole.losses) == 3 * EPOCHS
    assert resumed.losses == whole.losses[3 * CUT_OFF :]


def test_losses_differ_so_that_equality_means_something(whole: Training) -> None:
    assert len(set(whole.losses)) == 3 * EPOCHS


@pytest.mark.parametrize("name", ["network", "optimizer", "ema"])
def test_last_tensors_are_equal(name: str, whole: Training, resumed: Training) -> None:
    torch.testing.assert_close(resumed.last()["objects"][name], whole.last()["objects"][name], rtol=0, atol=0)


@pytest.mark.parametrize("name", ["schedule", "early_stop"])
def test_last_counts_are_equal(name: str, whole: Training, resumed: Training) -> None:
    assert resumed.last()["objects"][name] == whole.last()["objects"][name]


def test_last_checkpoints_agree_on_epoch_and_best(whole: Training, resumed: Training) -> None:
    first, second = whole.last(), resumed.last()
    del first["objects"], second["objects"]
    assert first == second
    assert first["epoch"] == EPOCHS


def test_best_weights_are_equal(whole: Training, resumed: Training) -> None:
    first, second = (load_checkpoint(training.checkpoint.best_path) for training in (whole, resumed))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_average_is_not_the_last_weights(whole: Training) -> None:
    network, average = whole.trainer.network, whole.ema.ema_model
    assert not torch.equal(network.head.weight, average.head.weight)
    assert whole.ema.iterations == 3 * EPOCHS

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.engines.utils import IterationEvents
from monai.losses import DiceCELoss
from monai.utils.enums import AdversarialKeys

from pipeline.engines import AdversarialSegmentationTrainer, MaskDiscriminator


def make_trainer(weight: float = 0.5, **settings: Any) -> AdversarialSegmentationTrainer:
    torch.manual_seed(0)
    network = torch.nn.Conv2d(1, 4, 3, padding=1)
    discriminator = MaskDiscriminator(channels=4, num_layers=1)
    batch = {"image": torch.rand(2, 1, 32, 32), "label": torch.randint(0, 4, (2, 1, 32, 32))}
    return AdversarialSegmentationTrainer(
        device="cpu",
        max_epochs=1,
        train_data_loader=[batch, batch],
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), 0.1),
        loss_function=DiceCELoss(to_onehot_y=True, softmax=True),
        d_network=discriminator,
        d_optimizer=torch.optim.SGD(discriminator.parameters(), 0.1),
        adversarial_weight=weight,
        decollate=False,
        **settings,
    )


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()]).clone()


def test_network_and_discriminator_learn() -> None:
    trainer = make_trainer()
    before = weights(trainer.network), weights(trainer.state.d_network)
    trainer.run()
    assert not torch.equal(weights(trainer.network), before[0])
    assert not torch.equal(weights(trainer.state.d_network), before[1])


def test_loss_is_that_of_the_mask_and_the_weighted_verdict() -> None:
    trainer = make_trainer(weight=0.5)
    trainer.run()
    output = trainer.state.output
    assert output[AdversarialKeys.GENERATOR_LOSS] > 0
    torch.testing.assert_close(
        output["loss"], output[AdversarialKeys.RECONSTRUCTION_LOSS] + output[AdversarialKeys.GENERATOR_LOSS]
    )


def test_labels_are_the_real_masks() -> None:
    trainer = make_trainer(smoothing=0.1)
    trainer.run()
    real, label = trainer.state.output[AdversarialKeys.REALS].exp(), trainer.state.output["label"]
    # 1 - 0.1 and a quarter of 0.1
    torch.testing.assert_close(real.gather(1, label), torch.full(label.shape, 0.925))
    torch.testing.assert_close(real.sum(dim=1), torch.ones(2, 32, 32))


def test_weight_of_zero_is_supervised_training() -> None:
    adversarial = make_trainer(weight=0.0)
    adversarial.run()
    torch.manual_seed(0)
    network = torch.nn.Conv2d(1, 4, 3, padding=1)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    for batch in adversarial.data_loader:
        optimizer.zero_grad()
        DiceCELoss(to_onehot_y=True, softmax=True)(network(batch["image"]), batch["label"]).backward()
        optimizer.step()
    torch.testing.assert_close(weights(adversarial.network), weights(network))


def test_events_of_supervised_trainings_are_fired() -> None:
    trainer, fired = make_trainer(), []
    for event in (IterationEvents.LOSS_COMPLETED, IterationEvents.BACKWARD_COMPLETED, IterationEvents.MODEL_COMPLETED):
        trainer.add_event_handler(event, lambda _, name: fired.append(name), event.value)
    trainer.run()
    assert fired == 2 * ["loss_completed", "backward_completed", "model_completed"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": -1.0}, "adversarial_weight must not be negative, got -1.0"),
        ({"smoothing": 0.0}, r"smoothing must be in \(0, 1\), got 0.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_trainer(**settings)

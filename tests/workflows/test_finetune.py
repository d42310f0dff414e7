from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.errors import InputError
from pipeline.networks import ASPPNet
from pipeline.workflows import encoder_slower, one_cycle, pretrained_network


def net(out_channels: int = 4, width: int = 4) -> ASPPNet:
    return ASPPNet(channels=(width, 6), strides=(1, 2), num_res_units=(1, 1), dilations=(1,), out_channels=out_channels)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(net().state_dict(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_weights_of_the_same_network_are_all_loaded(weights: Path) -> None:
    loaded = pretrained_network(net(), weights, "cpu").state_dict()
    saved = torch.load(weights, weights_only=True)
    assert all(torch.equal(loaded[key], saved[key]) for key in saved)


def test_head_for_other_labels_is_new_and_the_rest_loaded(weights: Path) -> None:
    loaded = pretrained_network(net(out_channels=5), weights, "cpu").state_dict()
    saved = torch.load(weights, weights_only=True)
    assert loaded["head.weight"].shape[0] == 5
    assert all(torch.equal(loaded[key], saved[key]) for key in saved if not key.startswith("head."))


def test_another_body_is_refused(weights: Path) -> None:
    with pytest.raises(InputError, match="holds the weights of another network than ASPPNet"):
        pretrained_network(net(width=8), weights, "cpu")


def test_state_of_a_training_is_refused(tmp_path: Path) -> None:
    state = dict.fromkeys(
        ["epoch", "epoch_length", "max_epochs", "best_metric", "best_metric_epoch", "run_id", "objects"], 0
    )
    torch.save(state, tmp_path / "last.pt")
    with pytest.raises(InputError, match="is the state of a training, not the weights"):
        pretrained_network(net(), tmp_path / "last.pt", "cpu")


def test_encoder_learns_slower() -> None:
    network = net()
    rest, encoder = encoder_slower(network, learning_rate=0.01, encoder_factor=0.1)
    assert (rest["lr"], encoder["lr"]) == (0.01, pytest.approx(0.001))
    assert len(rest["params"]) + len(encoder["params"]) == len(list(network.parameters()))


def test_factor_of_zero_freezes_the_encoder() -> None:
    network = net()
    groups = encoder_slower(network, learning_rate=0.01, encoder_factor=0.0)
    assert len(groups) == 1
    trained = {name.split(".")[0] for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert trained == {"decoder", "head"}


def test_frozen_encoder_computes_as_in_inference_while_the_decoder_trains() -> None:
    network = net()
    encoder_slower(network, learning_rate=0.01, encoder_factor=0.0)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.train()(torch.rand(2, 1, 16, 16))
    after = network.state_dict()
    assert {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])} == {"decoder"}


def test_slower_encoder_follows_the_statistics_of_the_data() -> None:
    network = net()
    encoder_slower(network, learning_rate=0.01, encoder_factor=0.1)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.train()(torch.rand(2, 1, 16, 16))
    after = network.state_dict()
    parts = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert parts == {"encoder", "aspp", "decoder"}


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    with pytest.raises(InputError, match=r"fine-tuning must run in one process, got 2\. Start it without torchrun"):
        encoder_slower(net(), 0.01, 0.1)


def test_factor_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match=r"encoder_factor must be in \[0, 1\], got 2"):
        encoder_slower(net(), 0.01, 2)


def test_schedule_keeps_the_ratio_of_the_groups() -> None:
    optimizer = torch.optim.AdamW(encoder_slower(net(), 0.01, 0.1))
    one_cycle(optimizer, None, epochs=2, steps_per_epoch=5, div_factor=10)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.001, 0.0001])

from __future__ import annotations

import errno
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from torch import nn

from pipeline.errors import InputError
from pipeline.handlers import TrainingCheckpoint, WeightAverage, load_checkpoint, load_pretrained, load_weights
from pipeline.handlers.checkpoint import save_atomically

New = Callable[..., SupervisedTrainer]


def checkpoint_of(
    trainer: SupervisedTrainer, directory: Path, best_epoch: int = -1, **settings: Any
) -> TrainingCheckpoint:
    """A checkpoint of network and optimizer; ``best_epoch`` is what the validator found."""
    state = SimpleNamespace(best_metric=0.5, best_metric_epoch=best_epoch)
    validator = SimpleNamespace(state=state, data_loader=[None])
    defaults = {
        "objects": {"network": trainer.network, "optimizer": trainer.optimizer},
        "weights": trainer.network,
        "validator": validator,
    }
    checkpoint = TrainingCheckpoint(directory, **{**defaults, **settings})
    checkpoint.attach(trainer)
    return checkpoint


@pytest.fixture
def saved(new_trainer: New, tmp_path: Path) -> Path:
    """Folder of a training that has done the first of two epochs, the best one."""
    trainer = new_trainer(max_epochs=2)
    checkpoint_of(trainer, tmp_path / "models", best_epoch=1).run_id = "abc"
    trainer.add_event_handler(Events.EPOCH_COMPLETED(once=1), trainer.terminate)
    trainer.run()
    return tmp_path / "models"


# --- saving ---------------------------------------------------------------------------------------------------------


def test_both_files_are_written_and_nothing_else(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["last.pt", "model.pt"]


def test_state_says_how_far_the_training_came(saved: Path) -> None:
    state = load_checkpoint(saved / "last.pt")
    assert {key: state[key] for key in state if key != "objects"} == {
        "epoch": 1,
        "epoch_length": 2,
        "max_epochs": 2,
        "best_metric": 0.5,
        "best_metric_epoch": 1,
        "run_id": "abc",
    }


def test_best_weights_are_plain_tensors_under_the_networks_names(saved: Path) -> None:
    weights = torch.load(saved / "model.pt", weights_only=True)
    assert {key: round(value.item(), 6) for key, value in weights.items()} == {"weight": 0.04}


def test_best_weights_are_those_of_the_best_epoch(new_trainer: New, tmp_path: Path) -> None:
    trainer = new_trainer(max_epochs=3, batches=1)
    checkpoint_of(trainer, tmp_path, best_epoch=2)
    trainer.run()
    assert load_checkpoint(tmp_path / "model.pt")["weight"].item() == pytest.approx(0.2**2)
    assert load_checkpoint(tmp_path / "last.pt")["objects"]["network"]["weight"].item() == pytest.approx(0.2**3)


def test_only_the_first_process_writes(new_trainer: New, tmp_path: Path) -> None:
    trainer = new_trainer()
    checkpoint_of(trainer, tmp_path / "models", best_epoch=1, rank=1)
    trainer.run()
    assert not (tmp_path / "models").exists()


def test_weights_of_a_distributed_network_are_saved_under_its_own_names(new_trainer: New, tmp_path: Path) -> None:
    trainer = new_trainer()
    checkpoint_of(trainer, tmp_path, best_epoch=1, weights=nn.DataParallel(trainer.network))
    trainer.run()
    assert list(load_checkpoint(tmp_path / "model.pt")) == ["weight"]


def test_failed_save_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_atomically({"epoch": 1}, tmp_path / "last.pt")

    def half(content: Any, file: Any) -> None:
        file.write(b"PK half of it")
        raise OSError("No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr(torch, "save", half)
        save_atomically({"epoch": 2}, tmp_path / "last.pt")
    assert load_checkpoint(tmp_path / "last.pt") == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_error_of_the_system_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(content: Any, file: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", refuse)
    with pytest.raises(OSError, match="No space left") as caught:
        save_atomically({"epoch": 2}, tmp_path / "last.pt")
    assert caught.value.filename == str(tmp_path / "last.pt")


def test_first_save_that_fails_leaves_no_file_of_that_name(tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        save_atomically({"local": lambda: None}, tmp_path / "last.pt")
    assert not (tmp_path / "last.pt").exists()


def test_next_save_goes_over_what_a_failed_one_left(tmp_path: Path) -> None:
    (tmp_path / ".last.pt.part").write_bytes(b"half")
    save_atomically({"epoch": 1}, tmp_path / "last.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


# --- resuming -------------------------------------------------------------------------------------------------------


def test_resumed_training_stands_where_the_saved_one_did(saved: Path, new_trainer: New) -> None:
    trainer = new_trainer(max_epochs=2)
    checkpoint = checkpoint_of(trainer, saved)
    checkpoint.resume(trainer)
    assert (trainer.state.epoch, trainer.state.iteration) == (1, 2)
    assert trainer.network.weight.item() == pytest.approx(0.04)
    assert (checkpoint.validator.state.best_metric, checkpoint.validator.state.best_metric_epoch) == (0.5, 1)
    assert checkpoint.run_id == "abc"


def test_resumed_training_does_the_epochs_that_are_left(saved: Path, new_trainer: New) -> None:
    trainer = new_trainer(max_epochs=2)
    checkpoint_of(trainer, saved).resume(trainer)
    trainer.run()
    assert trainer.state.epoch == 2
    assert trainer.network.weight.item() == pytest.approx(0.2**4)
    assert load_checkpoint(saved / "last.pt")["epoch"] == 2


class Scaler:
    """A gradient scaler that only counts."""

    def __init__(self) -> None:
        self.scale_factor = 1.0

    def state_dict(self) -> dict[str, float]:
        return {"scale": self.scale_factor}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.scale_factor = state["scale"]

    def scale(self, loss: torch.Tensor) -> torch.Tensor:
        return loss

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        self.scale_factor *= 2

    def update(self) -> None:
        pass


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_gradient_scaler_of_a_gpu_goes_on(new_trainer: New, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda.amp, "GradScaler", Scaler)
    first, second = (new_trainer(max_epochs=2, amp=True) for _ in range(2))
    checkpoint_of(first, tmp_path)
    first.add_event_handler(Events.EPOCH_COMPLETED(once=1), first.terminate)
    first.run()
    checkpoint_of(second, tmp_path).resume(second)
    second.run()  # makes a new scaler
    assert first.scaler.scale_factor == 4.0
    assert second.scaler.scale_factor == 16.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_epochs": 3}, "belongs to a training with max_epochs 2, this one has 3. Resume with the settings"),
        ({"batches": 5}, "belongs to a training with epoch_length 2, this one has 5"),
        (
            {"network": nn.Linear(1, 2)},
            r"another network than Linear: 2 of 2 entries differ \(bias: network \(2,\), file",
        ),
    ],
)
def test_state_of_another_training_is_refused(
    settings: dict[str, Any], message: str, saved: Path, new_trainer: New
) -> None:
    trainer = new_trainer(**{"max_epochs": 2, **settings})
    with pytest.raises(InputError, match=message):
        checkpoint_of(trainer, saved).resume(trainer)


def test_object_without_a_state_is_named(saved: Path, new_trainer: New) -> None:
    trainer = new_trainer(max_epochs=2)
    checkpoint = checkpoint_of(trainer, saved, objects={"ema": WeightAverage(trainer.network)})
    with pytest.raises(InputError, match=r"has no state of 'ema', it has \['network', 'optimizer'\]"):
        checkpoint.resume(trainer)


def test_state_that_does_not_fit_its_object_is_named(saved: Path, new_trainer: New) -> None:
    trainer = new_trainer(max_epochs=2)
    weights = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    checkpoint = checkpoint_of(trainer, saved, objects={"optimizer": torch.optim.SGD(weights, lr=0.1)})
    with pytest.raises(InputError, match=r"state of 'optimizer' in .*last.pt does not fit this training: .*group"):
        checkpoint.resume(trainer)


def test_resuming_without_a_checkpoint_is_refused(new_trainer: New, tmp_path: Path) -> None:
    trainer = new_trainer()
    with pytest.raises(InputError, match=r"there is no checkpoint .*last.pt. Train first"):
        checkpoint_of(trainer, tmp_path).resume(trainer)


def test_weights_are_no_state_of_a_training(saved: Path, new_trainer: New) -> None:
    (saved / "model.pt").replace(saved / "last.pt")
    trainer = new_trainer(max_epochs=2)
    with pytest.raises(InputError, match=r"last.pt is no state of a training: it lacks \['best_metric', "):
        checkpoint_of(trainer, saved).resume(trainer)


# --- setting aside --------------------------------------------------------------------------------------------------


def test_files_of_an_earlier_training_are_kept_aside(saved: Path, new_trainer: New) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    checkpoint_of(new_trainer(), saved).set_aside()
    assert [path.name for path in saved.iterdir()] == ["earlier"]
    (folder,) = (saved / "earlier").iterdir()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_each_earlier_training_has_its_own_folder(new_trainer: New, tmp_path: Path) -> None:
    checkpoint = checkpoint_of(new_trainer(), tmp_path)
    for number in range(3):
        checkpoint.last_path.write_text(str(number), encoding="utf-8")
        checkpoint.set_aside()
    kept = [path.read_text(encoding="utf-8") for path in sorted(tmp_path.glob("earlier/*/last.pt"))]
    assert kept == ["0", "1", "2"]


@pytest.mark.parametrize("rank", [0, 1])
def test_nothing_is_moved_where_there_is_nothing_or_by_other_processes(
    rank: int, new_trainer: New, tmp_path: Path
) -> None:
    if rank:
        (tmp_path / "last.pt").touch()
    checkpoint_of(new_trainer(), tmp_path, rank=rank).set_aside()
    assert not (tmp_path / "earlier").exists()


# --- loading --------------------------------------------------------------------------------------------------------


def test_weights_are_loaded_into_the_network(saved: Path) -> None:
    network = nn.Linear(1, 1, bias=False)
    assert load_weights(network, saved / "model.pt") is network
    assert network.weight.item() == pytest.approx(0.04)


def test_weights_are_loaded_into_a_distributed_network(saved: Path) -> None:
    network = nn.Linear(1, 1, bias=False)
    load_weights(nn.DataParallel(network), str(saved / "model.pt"))
    assert network.weight.item() == pytest.approx(0.04)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no checkpoint .*model.pt. Train first, or name one that exists"):
        load_weights(nn.Linear(1, 1), tmp_path / "model.pt")


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.95, 0.999])
def test_truncated_file_is_refused(share: float, saved: Path) -> None:
    whole = (saved / "last.pt").read_bytes()
    (saved / "last.pt").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"last.pt is no checkpoint that can be read \(\w+\): the file is cut off"):
        load_checkpoint(saved / "last.pt")


@pytest.mark.parametrize(
    "content", [b"hello", b"\x80", b"\x80\x02}q\x00X\xff", b"\x1f\x8b\x08", b"PK\x03\x04", b'{"weight": 1}', b"."]
)
def test_file_of_another_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"model.pt is no checkpoint that can be read"):
        load_checkpoint(tmp_path / "model.pt")


class Foreign:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "save",
    [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))],
    ids=["zip", "pickle"],
)
def test_pickle_that_holds_code_is_refused_and_not_run(save: Callable[[Any, Path], None], tmp_path: Path) -> None:
    save({"weight": Foreign(tmp_path / "touched")}, tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"\(UnpicklingError\): .* or holds more than tensors"):
        load_checkpoint(tmp_path / "model.pt")
    assert not (tmp_path / "touched").exists()


def test_file_without_a_dictionary_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"model.pt must hold a dictionary of tensors, got list"):
        load_checkpoint(tmp_path / "model.pt")


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    torch.save(nn.Conv2d(1, 2, 3).state_dict(), tmp_path / "model.pt")
    expected = (
        r"model.pt holds the weights of another network than Conv2d: 1 of 2 entries differ "
        r"\(weight: network \(2, 1, 5, 5\), file \(2, 1, 3, 3\)\). Use the configuration it was trained with"
    )
    with pytest.raises(InputError, match=expected):
        load_weights(nn.Conv2d(1, 2, 5), tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, r"2 of 2 entries differ \(bias: network \(1,\), file None"),
        ({"state_dict": {}}, r"3 of 3 entries differ \(.*state_dict: network None, file \('dict',\)"),
        (
            {**nn.Linear(1, 1).state_dict(), "epoch": 3},
            r"1 of 3 entries differ \(epoch: network None, file \('int',\)\)",
        ),
        ({0: torch.zeros(1)}, r"3 of 3 entries differ \(0: network None, file \(1,\)"),
    ],
)
def test_dictionary_of_something_else_is_refused(content: dict, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(InputError, match=message):
        load_weights(nn.Linear(1, 1), tmp_path / "model.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    weights = {"weight": torch.tensor([[1.0, value]]), "bias": torch.zeros(1)}
    torch.save(weights, tmp_path / "model.pt")
    message = r"model.pt holds weights that are NaN or infinite, first in 'weight': 1 of 2 values"
    with pytest.raises(InputError, match=message):
        load_weights(nn.Linear(2, 1), tmp_path / "model.pt")
    with pytest.raises(InputError, match=message):
        load_pretrained(nn.Linear(2, 1), tmp_path / "model.pt", may_differ="bias")


def test_part_that_does_not_fit_may_hold_anything(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(1, 2), "bias": torch.full((3,), torch.nan)}, tmp_path / "model.pt")
    assert load_pretrained(nn.Linear(2, 1), tmp_path / "model.pt", may_differ="bias")


def test_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder, not a checkpoint. Name the file in it, such as .*model.pt"):
        load_checkpoint(tmp_path)


def test_state_of_a_training_is_no_weights(saved: Path) -> None:
    with pytest.raises(InputError, match=r"last.pt is the state of a training, .* Use the model.pt beside it"):
        load_weights(nn.Linear(1, 1, bias=False), saved / "last.pt")

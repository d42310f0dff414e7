"""Saves a training so that it can go on, and its best weights so that they can be used."""

from __future__ import annotations

import logging
import os
import pickle
import struct
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from torch import nn

from pipeline.errors import InputError, exception_chain
from pipeline.handlers.checksum import checksum_path, require_checksum
from pipeline.handlers.validation import has_cases
from pipeline.labels import Structure

logger = logging.getLogger(__name__)

LAST = "last.pt"
BEST = "model.pt"
HEAD = "head."
"""Prefix of the output layer's weights, one row a class."""
# what torch.load raises for bytes that are no checkpoint, or only half of one
UNREADABLE = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    OverflowError,
    pickle.UnpicklingError,
    struct.error,
)
STATE_KEYS = {"epoch", "epoch_length", "max_epochs", "best_metric", "best_metric_epoch", "run_id", "objects"}


def save_atomically(content: Any, path: Path) -> None:
    """Save with ``torch.save`` beside ``path``, flush to the disk, then rename: ``path`` is never half-written.

    Where that fails, as on a full disk, what was written is removed, and the error of the system names ``path``.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        with open(beside, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        for link in exception_chain(error):
            if isinstance(link, OSError) and link.errno is not None and link.filename is None:
                link.filename = str(path)
        raise


class TrainingCheckpoint:
    """Saves ``last.pt`` after each epoch and ``model.pt`` whenever validation found the best weights so far.

    Where there are no cases to validate the weights of each epoch replace those of the one before.

    ``last.pt`` holds everything that the training needs to go on as if it had not stopped; ``model.pt`` is a plain
    ``state_dict`` of tensors.

    Args:
        directory: folder of both files.
        objects: what has a ``state_dict`` and belongs to the training: network, optimizer, scheduler, average.
        weights: the network whose weights go to ``model.pt``.
        validator: the evaluator of the validation; its ``best_metric`` decides.
        rank: of this process; only rank 0 writes.
    """

    def __init__(
        self,
        directory: str | Path,
        objects: Mapping[str, Any],
        weights: nn.Module,
        validator: SupervisedEvaluator,
        rank: int = 0,
    ) -> None:
        self.directory = Path(directory)
        self.objects = dict(objects)
        self.weights = weights
        self.validator = validator
        self.rank = rank
        self._scaler: dict[str, Any] | None = None
        self.run_id: str | None = None
        """Id of the MLflow run that the training belongs to; saved, so that a resumed training stays in its run."""

    @property
    def last_path(self) -> Path:
        """Path of the state of the training."""
        return self.directory / LAST

    @property
    def best_path(self) -> Path:
        """Path of the best weights."""
        return self.directory / BEST

    def attach(self, engine: SupervisedTrainer) -> None:
        """Attach to a trainer, behind the handler that validates."""
        engine.add_event_handler(Events.STARTED, self._resume_scaler)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def save(self, engine: SupervisedTrainer) -> None:
        """Save both files after an epoch."""
        if self.rank != 0:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        best = self.validator.state
        if best.best_metric_epoch == engine.state.epoch or not has_cases(self.validator):
            weights = _unwrapped(self.weights).state_dict()
            # that of other weights, where they were put here
            checksum_path(self.best_path).unlink(missing_ok=True)
            save_atomically({key: value.detach().cpu() for key, value in weights.items()}, self.best_path)
        objects = self.objects | ({"scaler": engine.scaler} if engine.scaler is not None else {})
        state = {
            "epoch": engine.state.epoch,
            "epoch_length": engine.state.epoch_length,
            "max_epochs": engine.state.max_epochs,
            "best_metric": float(best.best_metric),
            "best_metric_epoch": int(best.best_metric_epoch),
            "run_id": self.run_id,
            "objects": {name: item.state_dict() for name, item in objects.items()},
        }
        save_atomically(state, self.last_path)

    def resume(self, engine: SupervisedTrainer) -> None:
        """Bring trainer, validator and all objects to the end of the last whole epoch.

        Raises:
            InputError: there is no checkpoint, it cannot be read, it is no state of a training, or it belongs to one of
                other settings.
        """
        state = load_state(self.last_path)
        for key, now in (("max_epochs", engine.state.max_epochs), ("epoch_length", engine.state.epoch_length)):
            if state[key] != now:
                raise InputError(
                    f"{self.last_path} belongs to a training with {key} {state[key]}, this one has {now}. Resume with "
                    "the settings it was started with, or start anew with --resume false."
                )
        for name, item in self.objects.items():
            _load_object(item, state["objects"], name, self.last_path)
        # the trainer makes its gradient scaler when it starts to run
        self._scaler = state["objects"].get("scaler")
        engine.state.epoch = state["epoch"]
        engine.state.iteration = state["epoch"] * state["epoch_length"]
        self.validator.state.best_metric = state["best_metric"]
        self.validator.state.best_metric_epoch = state["best_metric_epoch"]
        self.run_id = state["run_id"]
        logger.info(f"Going on after epoch {state['epoch']} of {state['max_epochs']}.")

    def _resume_scaler(self, engine: SupervisedTrainer) -> None:
        if engine.scaler is not None and self._scaler is not None:
            engine.scaler.load_state_dict(self._scaler)

    def set_aside(self) -> None:
        """Move the files of an earlier training out of the way, so that a new one overwrites nothing."""
        present = [path for path in (self.last_path, self.best_path) if path.exists()]
        if not present or self.rank != 0:
            return
        earlier = self.directory / "earlier" / datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S-%f")
        earlier.mkdir(parents=True)
        for path in present:
            path.rename(earlier / path.name)
        logger.info(f"{self.directory} held an earlier training: moved to {earlier}.")


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a file of ``torch.save``, tensors and plain data only.

    Raises:
        InputError: the file is missing, is no whole checkpoint, or has another checksum than ``NAME.sha256`` beside it.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a checkpoint. Name the file in it, such as {path / BEST}.")
    if not path.is_file():
        raise InputError(f"there is no checkpoint {path}. Train first, or name one that exists.")
    require_checksum(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise InputError(
            f"{path} is no checkpoint that can be read ({type(error).__name__}): the file is cut off, of another kind, "
            "or holds more than tensors. Use another one, or train again."
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold a dictionary of tensors, got {type(content).__name__}.")
    return content


def load_state(path: Path) -> dict[str, Any]:
    """Read the state of a training, ``last.pt``.

    Raises:
        InputError: the file cannot be read, or is no state of a training.
    """
    state = load_checkpoint(path)
    missing = sorted(STATE_KEYS - state.keys())
    if missing:
        raise InputError(f"{path} is no state of a training: it lacks {missing}. Start anew.")
    return state


def load_weights(network: nn.Module, path: str | Path) -> nn.Module:
    """Load a plain ``state_dict`` into ``network`` and return it.

    Raises:
        InputError: the file cannot be read, it is the state of a training, its weights are another network's (names
            network and keys), or one of them is NaN or infinite.
    """
    weights = _load_plain(path)
    inner = _unwrapped(network)
    _require_same_keys(inner, weights, Path(path))
    _require_finite(weights, Path(path))
    inner.load_state_dict(weights)
    return network


def load_pretrained(network: nn.Module, path: str | Path, may_differ: str) -> bool:
    """Load a plain ``state_dict`` into ``network``; the part named ``may_differ`` stays as it is where it does not fit.

    Args:
        network: to be trained on.
        path: of the weights.
        may_differ: prefix of the names, such as ``"head."``.

    Returns:
        Whether that part did not fit.

    Raises:
        InputError: as ``load_weights``, of the other parts.
    """
    weights = _load_plain(path)
    own = network.state_dict()
    merged = dict(weights)
    differs = _part_differs(own, weights, may_differ)
    if differs:
        merged = {key: value for key, value in weights.items() if not key.startswith(may_differ)}
        merged |= {key: value for key, value in own.items() if key.startswith(may_differ)}
    _require_same_keys(network, merged, Path(path))
    _require_finite(merged, Path(path))
    network.load_state_dict(merged)
    return differs


def has_new_head(network: nn.Module, path: str | Path) -> bool:
    """Tell whether the head of a network is not that of the weights it began with: they have other classes.

    Args:
        network: with an output layer named ``head``, also inside of one that distributes it.
        path: of the weights, as ``load_pretrained`` took them.

    Raises:
        InputError: the file cannot be read, or it is the state of a training.
    """
    return _part_differs(_unwrapped(network).state_dict(), _load_plain(path), HEAD)


def _part_differs(own: Mapping[str, Any], weights: Mapping[str, Any], prefix: str) -> bool:
    part = {key for key in own.keys() | weights.keys() if key.startswith(prefix)}
    return any(getattr(own.get(key), "shape", None) != getattr(weights.get(key), "shape", None) for key in part)


def _load_plain(path: str | Path) -> dict[str, Any]:
    weights = load_checkpoint(path)
    if weights.keys() >= STATE_KEYS:
        raise InputError(f"{path} is the state of a training, not the weights of a network. Use the {BEST} beside it.")
    return weights


def _unwrapped(network: nn.Module) -> nn.Module:
    # a distributed network puts its own name before all keys
    return network.module if isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel) else network


def _load_object(item: Any, saved: Mapping[str, Any], name: str, path: Path) -> None:
    if name not in saved:
        raise InputError(f"{path} has no state of '{name}', it has {sorted(saved)}. It is another training's.")
    if isinstance(item, nn.Module):
        _require_same_keys(item, saved[name], path)
    try:
        item.load_state_dict(saved[name])
    except (RuntimeError, ValueError, KeyError) as error:
        raise InputError(f"the state of '{name}' in {path} does not fit this training: {error}") from error


def _require_same_keys(network: nn.Module, weights: Mapping[str, Any], path: Path) -> None:
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(getattr(value, "shape", (type(value).__name__,))) for key, value in weights.items()}
    keys = expected.keys() | found.keys()
    differing = sorted((key for key in keys if expected.get(key) != found.get(key)), key=str)
    if not differing:
        return
    if all(str(key).startswith(HEAD) for key in differing):
        classes = [shapes[f"{HEAD}weight"][0] for shapes in (found, expected) if f"{HEAD}weight" in shapes]
        if len(classes) == 2:
            same_head = f"Give --network_def#out_channels {classes[0]}, or fine-tune."
            raise InputError(
                f"{path} holds the weights of a network for another set of labels: {classes[0]} classes with the "
                f"background, this one has {classes[1]}. {same_head if classes[0] >= len(Structure) else 'Fine-tune.'}"
            )
    examples = "; ".join(f"{key}: network {expected.get(key)}, file {found.get(key)}" for key in differing[:4])
    raise InputError(
        f"{path} holds the weights of another network than {type(network).__name__}: {len(differing)} of "
        f"{len(keys)} entries differ ({examples}). Use the configuration it was trained with, or other weights."
    )


def _require_finite(weights: Mapping[str, torch.Tensor], path: Path) -> None:
    for key, value in weights.items():
        bad = int((~torch.isfinite(value)).sum())
        if bad:
            raise InputError(
                f"{path} holds weights that are NaN or infinite, first in '{key}': {bad} of {value.numel()} values. "
                "Nothing can be predicted with them. Use other weights, or train again."
            )

"""What disturbs a training in the middle of an epoch: handlers for ``train#handlers``, and losses that break."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.losses import DiceCELoss


class DisturbAt:
    """Does something bad at one iteration.

    Args:
        iteration: counted from 1 over all epochs.
    """

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=self.iteration), self.disturb)

    def disturb(self) -> None:
        raise RuntimeError("disturbed")


class SignalAt(DisturbAt):
    """Gets a signal, by its name: ``SIGINT`` is Ctrl-C."""

    def __init__(self, iteration: int, name: str) -> None:
        super().__init__(iteration)
        self.name = name

    def disturb(self) -> None:
        signal.raise_signal(signal.Signals[self.name])


class HangAt(DisturbAt):
    """Writes a file and hangs, so that whoever waits for the file can kill the process at a known place."""

    def __init__(self, iteration: int, path: str) -> None:
        super().__init__(iteration)
        self.path = Path(path)

    def disturb(self) -> None:
        self.path.touch()
        time.sleep(600)


class WaitAt(DisturbAt):
    """Writes a file and waits for another beside it, with the suffix ``.go``; not at all where that is there."""

    def __init__(self, iteration: int, path: str) -> None:
        super().__init__(iteration)
        self.path = Path(path)

    def disturb(self) -> None:
        self.path.touch()
        while not self.path.with_suffix(".go").exists():
            time.sleep(0.05)


class DieAt(DisturbAt):
    """Kills its process, as a machine out of memory does, where that has a certain rank."""

    def __init__(self, iteration: int, rank: int) -> None:
        super().__init__(iteration)
        self.rank = rank

    def disturb(self) -> None:
        if int(os.environ.get("RANK", 0)) == self.rank:
            os.kill(os.getpid(), signal.SIGKILL)


class BreaksAt(DiceCELoss):
    """The bundle's loss until one iteration, where it is NaN, or its gradient is.

    Args:
        iteration: counted from 1 over all epochs.
        what: ``"loss"`` or ``"gradient"``.
        settings: of ``DiceCELoss``.
    """

    def __init__(self, iteration: int, what: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.iteration, self.what, self.calls = iteration, what, 0

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        loss = super().forward(input, target)
        self.calls += 1
        if self.calls != self.iteration:
            return loss
        # a square root of 0 has an infinite slope
        return loss + (loss - loss.detach()).sqrt() if self.what == "gradient" else loss * torch.nan

"""SIGTERM as an exception, so that what runs can save its state before it ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

REPEAT_AFTER_S = 30.0
"""Seconds in which a second SIGTERM changes nothing: launchers send it to the group and to each process."""

# Windows has none
_SIGCHLD: signal.Signals | None = getattr(signal, "SIGCHLD", None)

SignalHandler = Callable[[int, FrameType | None], Any] | None


class Terminated(SystemExit):
    """The process was told to end by SIGTERM; it leaves with status 143, as a shell would report it.

    Like ``KeyboardInterrupt`` it passes every ``except Exception``; ignite reports it to the handlers of
    ``Events.EXCEPTION_RAISED``, which save the checkpoint.
    """

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)

    def __str__(self) -> str:
        return "interrupted by SIGTERM"


class Sigterm:
    """Whether the signal has come, and whether it still raises."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._received_s: float | None = None
        self._closing = False
        self._of_children: SignalHandler = None

    @property
    def received(self) -> bool:
        """Whether the signal has come."""
        return self._received_s is not None

    def ignore(self) -> None:
        """From now on the signal is only noted: the run is being closed."""
        self._closing = True
        self._hold_children()

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Handle the signal."""
        if os.getpid() != self._process:
            _die()  # a worker that was forked has inherited the handler
        repeated = self._received_s is not None and time.monotonic() - self._received_s < REPEAT_AFTER_S
        if not repeated:
            self._received_s = time.monotonic()
        self._hold_children()
        if not (repeated or self._closing):
            raise Terminated

    def _hold_children(self) -> None:
        """Switch off torch's handler of SIGCHLD.

        Workers of a data loader often get the signal too. That handler then raises ``RuntimeError`` in whatever runs,
        such as the saving of the checkpoint.
        """
        if _SIGCHLD is not None and _in_main_thread() and callable(handler := signal.getsignal(_SIGCHLD)):
            self._of_children = handler
            signal.signal(_SIGCHLD, signal.SIG_DFL)

    def release(self) -> None:
        """Put back what was switched off."""
        if _SIGCHLD is not None and self._of_children is not None:
            signal.signal(_SIGCHLD, self._of_children)


@contextmanager
def sigterm_raises() -> Iterator[Sigterm]:
    """Turn SIGTERM into ``Terminated`` while the context lasts; the handler before it is put back afterwards.

    Outside of the main thread, where Python allows no handlers, and where SIGTERM is ignored, nothing changes.
    """
    state = Sigterm()
    previous = signal.getsignal(signal.SIGTERM)
    # None: a handler from outside of Python, which could not be put back
    installed = _in_main_thread() and previous not in (None, signal.SIG_IGN)
    if installed:
        signal.signal(signal.SIGTERM, state)
    try:
        yield state
    finally:
        state.release()
        if installed:
            signal.signal(signal.SIGTERM, previous)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _die() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)

"""SIGTERM as an exception."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

import pytest

from pipeline.tracking import interruption
from pipeline.tracking.interruption import Terminated, sigterm_raises


def test_signal_raises() -> None:
    with sigterm_raises() as state, pytest.raises(Terminated, match="interrupted by SIGTERM"):
        signal.raise_signal(signal.SIGTERM)
    assert state.received


def test_process_leaves_with_the_status_of_the_signal() -> None:
    assert Terminated().code == 143


def test_handler_before_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with sigterm_raises():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_second_signal_does_not_interrupt_the_saving() -> None:
    with sigterm_raises():
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)


def test_signal_long_after_the_first_raises_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "REPEAT_AFTER_S", 0.0)
    with sigterm_raises():
        for _ in range(2):
            with pytest.raises(Terminated):
                signal.raise_signal(signal.SIGTERM)


def test_signal_while_closing_is_only_noted() -> None:
    with sigterm_raises() as state:
        state.ignore()
        signal.raise_signal(signal.SIGTERM)
        assert state.received


def test_forked_worker_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    deaths: list[bool] = []
    monkeypatch.setattr(interruption, "_die", lambda: deaths.append(True))
    with sigterm_raises() as state:
        monkeypatch.setattr(interruption.os, "getpid", lambda: -1)
        with pytest.raises(Terminated):
            state(signal.SIGTERM, None)
    assert deaths == [True]


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Iterator[signal.Signals]:
    """A signal in the place of SIGCHLD, which Windows has not, with a handler that raises as torch's does."""

    def tell(signum: int, frame: object) -> None:
        raise RuntimeError("DataLoader worker is killed by signal: Terminated.")

    monkeypatch.setattr(interruption, "_SIGCHLD", signal.SIGINT)
    before = signal.signal(signal.SIGINT, tell)
    yield signal.SIGINT
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("end", ["signal", "close"])
def test_dying_workers_do_not_interrupt_the_saving(children: signal.Signals, end: str) -> None:
    handler = signal.getsignal(children)
    with sigterm_raises() as state:
        if end == "close":
            state.ignore()
        with contextlib.suppress(Terminated):
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(children) == signal.SIG_DFL
    assert signal.getsignal(children) == handler


def test_other_threads_change_nothing() -> None:
    handlers: list[object] = []

    def work() -> None:
        with sigterm_raises():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGTERM)]


def test_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with sigterm_raises():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)

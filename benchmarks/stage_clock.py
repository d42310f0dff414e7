"""Says where the time goes inside a process, by watching methods of classes and functions of modules."""

from __future__ import annotations

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

Watched = tuple[type | ModuleType, str, str]
"""Class or module, name of its method or function, name of the stage."""


def time_stages(work: Callable[[], int], methods: Sequence[Watched]) -> dict[str, Any]:
    """Run a piece of work and say where its time went.

    Args:
        work: returns how many volumes it did.
        methods: to watch.

    Returns:
        ``wall_s``, ``stages`` (seconds by stage, each without the stages within it) and ``volumes``.

    Raises:
        RuntimeError: a watched method was never called, so that its stage would count for nothing.
    """
    clock = StageClock()
    with clock.watching(*methods):
        start = time.perf_counter()
        volumes = work()
        wall_s = time.perf_counter() - start
    if clock.never_called:
        raise RuntimeError(f"{', '.join(sorted(clock.never_called))} must be called by the work to be timed, was not.")
    return {"wall_s": wall_s, "stages": dict(clock.seconds), "volumes": volumes}


class StageClock:
    """Adds up the seconds spent in stages; a stage within another counts for the inner one alone.

    Attributes:
        seconds: by stage. Work of several threads at once adds up to more than the wall time.
        never_called: watched methods that nothing has called, as ``Class.method``: their stage says nothing.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.never_called: set[str] = set()
        self._lock = threading.Lock()
        self._thread = threading.local()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of a block."""
        stack: list[float] = self._thread.__dict__.setdefault("inner", [])
        stack.append(0.0)
        start = time.perf_counter()
        try:
            yield
        finally:
            whole = time.perf_counter() - start
            inner = stack.pop()
            if stack:
                stack[-1] += whole
            with self._lock:
                self.seconds[name] += whole - inner

    @contextmanager
    def watching(self, *methods: Watched) -> Iterator[None]:
        """Count the time of methods until the block ends.

        Args:
            methods: to watch.
        """
        with ExitStack() as stack:
            for owner, method, name in methods:
                stack.enter_context(self._watched(owner, method, name))
            yield

    @contextmanager
    def _watched(self, owner: type | ModuleType, method: str, name: str) -> Iterator[None]:
        original = getattr(owner, method)
        own = method in vars(owner)
        watched = f"{owner.__name__}.{method}"
        self.never_called.add(watched)

        @functools.wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self.never_called.discard(watched)
            with self.stage(name):
                return original(*args, **kwargs)

        setattr(owner, method, timed)
        try:
            yield
        finally:
            if own:
                setattr(owner, method, original)
            else:
                delattr(owner, method)

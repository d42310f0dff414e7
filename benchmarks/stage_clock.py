"""Says where the time goes inside a process, by watching methods of classes and functions of modules."""

from __future__ import annotations

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any


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
    def watching(self, *methods: tuple[type | ModuleType, str, str]) -> Iterator[None]:
        """Count the time of methods until the block ends.

        Args:
            methods: class or module, name of the method or function, name of the stage.
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

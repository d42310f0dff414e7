"""The next scan is read and the last one written while one is predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from pipeline.inference.phases import IMAGE
from pipeline.inference.reading import ReadScan, ScanReader

AHEAD_VOXELS = 2**25
"""Of a scan beside which another one is kept in memory, at most: 128 MiB as float32."""


def is_large(scan: ReadScan) -> bool:
    """Return whether memory shall hold a scan alone."""
    return scan.item is not None and int(scan.item[IMAGE].numel()) > AHEAD_VOXELS


class ReadAhead:
    """Scans in their order; each is read by a thread while the one before it is worked on, unless that one is large.

    Args:
        reader: of the scans.
    """

    def __init__(self, reader: ScanReader) -> None:
        self.reader = reader

    def __len__(self) -> int:
        return len(self.reader)

    def __iter__(self) -> Iterator[ReadScan]:
        with ThreadPoolExecutor(1, "read") as pool:
            ahead: Future[ReadScan] | None = None
            for number in range(len(self.reader)):
                scan = self.reader[number] if ahead is None else ahead.result()
                more = number + 1 < len(self.reader) and not is_large(scan)
                ahead = pool.submit(self.reader.__getitem__, number + 1) if more else None
                yield scan


class Background:
    """A thread that does one piece of work after the other; whoever brings the next one waits for the last.

    As a context it ends when all is done.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "write")
        self._last: Future[None] | None = None

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def do(self, work: Callable[[], None]) -> None:
        """Begin a piece of work when the last one is done; what that one raised is raised here."""
        self.wait()
        self._last = self._pool.submit(work)

    def wait(self) -> None:
        """Wait for the last piece of work, and raise what it raised."""
        if self._last is not None:
            last, self._last = self._last, None
            last.result()

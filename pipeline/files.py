"""Files that are either whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a path to write to, and move the file to ``path`` once it is whole.

    The partial file lies hidden beside ``path``, so that the move stays on one file system, and keeps its suffix, since
    writers choose the format by it. Where the block raises, it is removed and an older ``path`` stays as it was.

    Args:
        path: the file to write; missing folders are made.

    Yields:
        The path of the partial file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid4().hex}-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)

"""Files that are either whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

_KEPT_CHARACTERS = 40
"""Of a file's name in that of its partial file, which so stays below the 255 bytes of most file systems."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a path to write to, and move the file to ``path`` once it is whole.

    The partial file lies hidden beside ``path``, so that the move stays on one file system, and keeps the end of its
    name, since writers choose the format by the suffix. Where the block raises, it is removed and an older ``path``
    stays as it was; an ``OSError`` that names no file, as that of a full disk, gets the name of ``path``.

    Args:
        path: the file to write; missing folders are made.

    Yields:
        The path of the partial file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid4().hex}-{path.name[-_KEPT_CHARACTERS:]}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise
    finally:
        partial.unlink(missing_ok=True)

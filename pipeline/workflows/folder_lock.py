"""One training at a time in a folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.errors import InputError

LOCK_NAME = ".lock"


@contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Keep others out of a folder of results while the context lasts.

    The lock is a transaction on a SQLite file in the folder: it works on every system, needs no clock and no process
    id, and dies with its process. The file stays, since SQLite takes none that is removed under it.

    Raises:
        InputError: another process uses the folder, or it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        guard = sqlite3.connect(folder / LOCK_NAME, timeout=0, isolation_level=None)
    except sqlite3.OperationalError as error:
        raise InputError(f"output_dir {folder} cannot be written ({error}). Choose a folder of your own.") from error
    with closing(guard):
        _take(guard, folder)
        yield


def require_free(folder: Path) -> None:
    """Find out whether a folder could be used now; a folder that is not there is free.

    Raises:
        InputError: another process uses it.
    """
    if (folder / LOCK_NAME).is_file():
        with sole_user(folder):
            pass


def _take(guard: sqlite3.Connection, folder: Path) -> None:
    try:
        guard.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        raise InputError(
            f"output_dir {folder} is in use by another process, most likely a training ({error}). Wait for it or end "
            "it, or give another --output_dir."
        ) from error

"""Walks a folder that may hold anything: links that loop, hidden files, pipes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def walk_files(root: Path, skip_dir: Path | None = None) -> Iterator[Path]:
    """Yield the files in a folder and all folders below it.

    Hidden files and folders are left out, and so is what is no regular file. Linked folders are followed, each once.

    Args:
        root: the folder.
        skip_dir: a folder below ``root`` that is left out.
    """
    # os.walk, since Path.rglob follows linked folders in some versions of Python only
    seen: set[Path] = set()
    skipped = None if skip_dir is None else skip_dir.resolve()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        here = Path(folder).resolve()
        if here in seen or (here == skipped and here != root.resolve()):
            subfolders.clear()
            continue
        seen.add(here)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        paths = (os.path.join(folder, name) for name in sorted(names) if not name.startswith("."))
        # a named pipe would keep the reader waiting for ever
        yield from (Path(path) for path in paths if os.path.isfile(path))

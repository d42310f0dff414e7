"""The checksum beside a file of weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipeline.errors import InputError

SUFFIX = ".sha256"


def checksum_path(path: Path) -> Path:
    """Return where the checksum of ``path`` is kept: ``model.pt.sha256``, as ``sha256sum model.pt`` prints it."""
    return path.with_name(path.name + SUFFIX)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in 64 hexadecimal digits."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def require_checksum(path: Path) -> None:
    """Compare a file with the checksum beside it; nothing is compared where there is none.

    Raises:
        InputError: they differ: the file was cut off, changed or replaced since.
    """
    beside = checksum_path(path)
    if not beside.is_file():
        return
    expected = beside.read_text(encoding="utf-8", errors="replace").partition(" ")[0].strip().lower()
    found = sha256(path)
    if found != expected:
        raise InputError(
            f"{path} has the SHA-256 {found[:16]}…, {beside.name} beside it says {expected[:16] or 'nothing'}…: it is "
            f"not the file that was published. Get it again, or remove {beside.name} if you replaced the weights."
        )

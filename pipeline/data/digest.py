"""One number for the content of a data set, so that two runs can tell whether they saw the same data."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.data.problem import Item
from pipeline.errors import InputError

_READERS = 4
_CHUNK_BYTES = 1 << 20
_KEYS = ("image", "label")


def dataset_digest(datalist: Sequence[Item]) -> str:
    """Return the SHA-256 of a data set's content.

    It covers each image and label, byte by byte (of a DICOM folder all files), their names relative to the folder that
    holds all images, or all labels, which label belongs to which image, and the phase taken from a 4D file. It depends
    neither on the order of the cases nor on where the data set lies, nor where labels are drawn.

    Args:
        datalist: cases with ``image``, and ``label`` and ``frame`` where they have them.

    Returns:
        64 hexadecimal digits.

    Raises:
        InputError: no cases, or a file cannot be read.
    """
    if not datalist:
        raise InputError("There are no cases to take a digest of. Check dataset_dir.")
    of_key = {key: sorted({item[key] for item in datalist if key in item}) for key in _KEYS}
    paths = sorted({*of_key["image"], *of_key["label"]})
    with ThreadPoolExecutor(_READERS) as pool:
        contents = dict(zip(paths, pool.map(_digest, paths), strict=True))
    names = {key: _relative_names(of_key[key]) for key in _KEYS}
    records = sorted(
        json.dumps(
            [[names[key][item[key]], contents[item[key]]] if key in item else None for key in _KEYS]
            + [item.get("frame")]
        )
        for item in datalist
    )
    return hashlib.sha256("\n".join(records).encode("utf-8")).hexdigest()


def _digest(path: str) -> str:
    if not os.path.isdir(path):
        return _file_digest(path)
    files = sorted(file for file in Path(path).rglob("*") if file.is_file())
    records = [[file.relative_to(path).as_posix(), _file_digest(str(file))] for file in files]
    return hashlib.sha256(json.dumps(records).encode("utf-8")).hexdigest()


def _file_digest(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error}. Restore the file or its permissions.") from error
    return digest.hexdigest()


def _relative_names(paths: Sequence[str]) -> dict[str, str]:
    if not paths:
        return {}
    folders = {os.path.abspath(os.path.dirname(path)) for path in paths}
    try:
        root = os.path.commonpath(folders)
    except ValueError:
        # Files on several Windows drives have no folder in common.
        return {path: Path(path).name for path in paths}
    return {path: Path(os.path.abspath(path)).relative_to(root).as_posix() for path in paths}

"""The text that NRRD and MetaImage files begin with: what SimpleITK passes over in silence is refused here."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import BinaryIO

from pipeline.data.layout import image_suffix
from pipeline.data.nifti import RESTORE, VolumeError

_LONGEST_LINE = 1 << 16
_MOST_LINES = 1 << 12
_BYTES = {"char": 1, "short": 2, "int": 4, "long": 4, "float": 4, "long_long": 8, "double": 8}
"""Of a voxel of MetaImage's types, at least: a long has 4 or 8."""
_OTHER_FILE = ("the voxels are in another file", "Save header and voxels as one file, .nrrd or .mha.")
_NO_SPACING = ("the header has no spacing", "Export it with its spacing.")


def require_sound_header(path: Path) -> None:
    """Refuse a file without spacing, or in another unit than mm, with voxels elsewhere, or damaged ones.

    SimpleITK takes a missing spacing for 1 mm, knows no units, and returns what it could unpack of damaged voxels. What
    is no such file at all is left to it.

    Args:
        path: ``.nrrd`` or ``.mha``.

    Raises:
        VolumeError: one of these.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        if image_suffix(path) == ".nrrd":
            _require_sound_nrrd(_fields(file, ":", last=""))
        else:
            _require_sound_metaimage(_fields(file, "=", last="elementdatafile"), file)


def _fields(file: BinaryIO, separator: str, last: str) -> dict[str, str]:
    """Read the fields of the text, keys in lower case, up to the line of the key ``last``."""
    fields = {}
    for _ in range(_MOST_LINES):
        line = file.readline(_LONGEST_LINE).decode("latin-1")
        key, value = (part.strip() for part in line.partition(separator)[::2])
        fields[key.lower()] = value
        if not line or key.lower() == last:
            break
    return fields


def _require_sound_nrrd(fields: dict[str, str]) -> None:
    if not any(key.startswith("nrrd") for key in fields):
        return
    if fields.keys() & {"data file", "datafile"}:
        raise VolumeError(*_OTHER_FILE)
    if not fields.keys() & {"spacings", "space directions"}:
        raise VolumeError(*_NO_SPACING)
    units = fields.get("space units", fields.get("units", "")).replace('"', " ").split()
    others = sorted({unit for unit in units[-3:] if unit not in ("mm", "???", "none")})
    if others:
        raise VolumeError(f"the header's spacing must be in mm, got {', '.join(others)}", "Export it in mm.")


def _require_sound_metaimage(fields: dict[str, str], file: BinaryIO) -> None:
    if "elementdatafile" not in fields:
        return
    if fields["elementdatafile"].upper() != "LOCAL":
        raise VolumeError(*_OTHER_FILE)
    if not fields.keys() & {"elementspacing", "elementsize"}:
        raise VolumeError(*_NO_SPACING)
    if fields.get("compresseddata", "").lower() == "true":
        _require_whole(fields, file.read())


def _require_whole(fields: dict[str, str], packed: bytes) -> None:
    kind = fields.get("elementtype", "").lower().removeprefix("met_").removeprefix("u").removesuffix("_array")
    numbers = math.prod(int(size) for size in fields.get("dimsize", "0").split())
    needed = numbers * int(fields.get("elementnumberofchannels", 1)) * _BYTES.get(kind, 1)
    try:
        size = len(zlib.decompress(packed))
    except zlib.error as error:
        raise VolumeError(f"the voxels are damaged or cut off ({error})", RESTORE) from error
    if size < needed:
        raise VolumeError(f"the file is cut off: it holds {size} of {needed} bytes", RESTORE)

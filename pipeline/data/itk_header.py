"""The text that NRRD and MetaImage files begin with: what SimpleITK passes over in silence is refused here."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

from pipeline.data.layout import image_suffix
from pipeline.data.nifti import RESTORE, VolumeError

_LONGEST_LINE = 1 << 16
_MOST_LINES = 1 << 12
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
    if image_suffix(path) == ".nrrd":
        _require_sound_nrrd(_fields(path, ":", ends_after="")[0])
    else:
        _require_sound_metaimage(path)


def _fields(path: Path, separator: str, ends_after: str) -> tuple[dict[str, str], bytes]:
    """Return the fields of the text in lower case, and the bytes behind it; it ends with a line that begins so."""
    fields = {}
    with path.open("rb") as file:
        for _ in range(_MOST_LINES):
            line = file.readline(_LONGEST_LINE).decode("latin-1").strip()
            key, _, value = line.partition(separator)
            fields[key.strip().lower()] = value.strip()
            if line.lower().startswith(ends_after) if ends_after else not line:
                break
        return fields, file.read()


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


def _require_sound_metaimage(path: Path) -> None:
    fields, content = _fields(path, "=", ends_after="elementdatafile")
    if "elementdatafile" not in fields:
        return
    if fields["elementdatafile"].upper() != "LOCAL":
        raise VolumeError(*_OTHER_FILE)
    if not fields.keys() & {"elementspacing", "elementsize"}:
        raise VolumeError(*_NO_SPACING)
    if fields.get("compresseddata", "").lower() == "true":
        _require_whole(fields, content)


def _require_whole(fields: dict[str, str], packed: bytes) -> None:
    voxels = math.prod(int(size) for size in fields.get("dimsize", "0").split())
    try:
        size = len(zlib.decompress(packed))
    except zlib.error as error:
        raise VolumeError(f"the voxels are damaged or cut off ({error})", RESTORE) from error
    if size < voxels:
        raise VolumeError(f"the file is cut off: {size} bytes for {voxels} voxels", RESTORE)

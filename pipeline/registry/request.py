"""What a served model is asked: one scan, in one of three forms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

FORMS = ("path", "nifti", "image")
"""A path on the machine of the model; the bytes of a NIfTI file; an array with ``spacing_mm``."""
_GZIP = b"\x1f\x8b"
_RULE = (
    "Give each scan by exactly one of: path (a file, or the folder of a DICOM study, on the model's machine), nifti "
    "(bytes of a NIfTI file, base64 in JSON), image (array X, Y, Z or X, Y, Z, T) with spacing_mm (three numbers)"
)


def form_of(row: Mapping[str, Any]) -> str:
    """Return which of ``FORMS`` a request has.

    Raises:
        InputError: none, or several.
    """
    given = [form for form in FORMS if not _is_missing(row.get(form))]
    if len(given) != 1:
        raise InputError(f"{_RULE}; got {', '.join(given) or 'none of them'}.")
    return given[0]


def scan_path(row: Mapping[str, Any], folder: Path) -> Path:
    """Return the scan of a request as a path; what came as bytes or array is written into ``folder``.

    Args:
        row: the request.
        folder: an empty folder.

    Raises:
        InputError: there is nothing at the path, or the array or its spacing is none.
    """
    form = form_of(row)
    if form == "path":
        path = Path(str(row["path"])).expanduser()
        if not path.exists():
            raise InputError(f"path must exist on the machine of the model, got '{path}'.")
        return path
    if form == "nifti":
        return _write_bytes(row["nifti"], folder)
    return _write_array(row["image"], row.get("spacing_mm"), folder)


def _write_bytes(content: Any, folder: Path) -> Path:
    if not isinstance(content, bytes | bytearray) or not content:
        raise InputError(
            f"nifti must be the bytes of a NIfTI file, got {type(content).__name__ if content else 'none'}."
        )
    path = folder / ("scan.nii.gz" if content.startswith(_GZIP) else "scan.nii")
    path.write_bytes(content)
    return path


def _write_array(image: Any, spacing_mm: Any, folder: Path) -> Path:
    voxels, spacing = as_image(image), as_spacing(spacing_mm)
    # the axes of a DICOM image: to the patient's left, to posterior; NIfTI counts to the right and to anterior
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    path = folder / "scan.nii"
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


def as_image(image: Any) -> NDArray[np.float32]:
    """Return intensities as an array of 3 or 4 axes.

    Raises:
        InputError: it is none.
    """
    try:
        voxels = np.asarray(image, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"image must be a regular array of numbers, got {type(image).__name__} ({error}).") from error
    if voxels.ndim not in (3, 4) or not voxels.size:
        raise InputError(f"image must have the axes X, Y, Z or X, Y, Z, T, got the shape {voxels.shape}.")
    return voxels


def as_spacing(spacing_mm: Any) -> NDArray[np.float64]:
    """Return the spacing in mm along x, y and z.

    Raises:
        InputError: it is not three positive numbers.
    """
    try:
        spacing = np.asarray([] if spacing_mm is None else spacing_mm, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"spacing_mm must be three positive numbers, got {spacing_mm!r}.") from error
    if spacing.shape != (3,) or not np.all(np.isfinite(spacing) & (spacing > 0)):
        raise InputError(f"spacing_mm must be three positive numbers, one for each of x, y and z, got {spacing_mm!r}.")
    return spacing


def _is_missing(value: Any) -> bool:
    # a table of several requests fills what a row lacks with NaN
    return value is None or (isinstance(value, float) and np.isnan(value)) or (isinstance(value, str) and not value)

"""One image file as an array with its grid, or the reason why it is none."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from pipeline.data.image_file import read_image
from pipeline.data.layout import VOLUME_SUFFIXES, image_suffix
from pipeline.data.nifti import RESTORE, VolumeError
from pipeline.errors import InputError
from pipeline.geometry import nifti_affine


@dataclass(frozen=True)
class Volume:
    """An image in memory.

    Attributes:
        array: shape (X, Y) or (X, Y, Z), any number type.
        affine: 4x4, mm; None where the file carries no grid (PNG).
    """

    array: NDArray[Any]
    affine: NDArray[np.float64] | None


def read_volume(path: str | Path, frame: int | None = None) -> Volume:
    """Read an image or a label as training reads it, without its transforms.

    Args:
        path: of ``layout.IMAGE_SUFFIXES``, or a folder of DICOM files that hold a cine. A picture is 2D, its array axes
            in MONAI's order: column, row.
        frame: phase to take from a cine, from 0; None for 2D and 3D files.

    Returns:
        The image with values as stored, scaled by the header's slope and intercept.

    Raises:
        VolumeError: the file is missing, unreadable or truncated, has other dimensions, no numbers, or no usable grid.
    """
    path = Path(path)
    if path.is_dir():
        return _read_dicom(path, frame)
    if not path.is_file():
        raise VolumeError("the file does not exist", "Restore it, or take the case out.")
    if path.stat().st_size == 0:
        raise VolumeError("the file is empty (0 bytes)", RESTORE)
    try:
        return _read_png(path) if image_suffix(path) == ".png" else _read_grid(path, frame)
    except EOFError as error:
        raise VolumeError("the file is truncated: it ends before its image does", RESTORE) from error
    except (OSError, zlib.error, ImageFileError, HeaderDataError, ValueError, OverflowError) as error:
        if isinstance(error, VolumeError):
            raise
        raise VolumeError(f"the file cannot be read: {_first_line(error)}", RESTORE) from error


def _read_dicom(folder: Path, frame: int | None) -> Volume:
    # pydicom takes its time to import, and most data sets need none of it.
    from pipeline.data.dicom import load_pixels, read_cine

    try:
        stack = read_cine(folder)
        _check_dimensions(stack.shape, frame)
        return Volume(load_pixels(stack)[..., frame], stack.affine)
    except InputError as error:
        raise VolumeError(f"the cine cannot be read: {error}", RESTORE) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _read_png(path: Path) -> Volume:
    # Pillow is slow to import, and few data sets are PNG.
    from PIL import Image

    with Image.open(path) as picture:
        array = np.asarray(picture)
    if array.ndim != 2:
        array = array[..., :3].mean(axis=-1)  # as training reads it, see transforms.EnsureVolume
    return Volume(array.T, None)


def _read_grid(path: Path, frame: int | None) -> Volume:
    if image_suffix(path) not in VOLUME_SUFFIXES:
        raise VolumeError(f"the file is {type(nib.load(path)).__name__}, not NIfTI", "Convert it to NIfTI.")
    image = read_image(path)
    if frame is None and image.shape[3:] == (1,):
        frame = 0  # the only phase needs no name, see transforms.SelectFrame
    _check_dimensions(image.shape, frame)
    array = image.dataobj[..., frame] if frame is not None else image.dataobj
    return Volume(np.asanyarray(array), nifti_affine(image))


def _check_dimensions(shape: tuple[int, ...], frame: int | None) -> None:
    text = "x".join(str(size) for size in shape)
    if 0 in shape or not shape:
        raise VolumeError(f"the image has no voxels (shape {text})", RESTORE)
    if frame is None and len(shape) not in (2, 3):
        way_out = "Save one phase as a 3D file, or name the phase by 'frame'."
        raise VolumeError(f"the file is {len(shape)}D ({text}) where 3D is needed", way_out)
    if frame is not None and len(shape) != 4:
        raise VolumeError(f"phase {frame} is asked of a {len(shape)}D file ({text})", "Give the 4D file.")
    if frame is not None and not 0 <= frame < shape[3]:
        way_out = "Correct the phase; phases count from 0."
        raise VolumeError(f"phase {frame} is outside the file's {shape[3]} phases ({text})", way_out)

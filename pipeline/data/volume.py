"""One image file as an array with its grid, or the reason why it is none."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.openers import ImageOpener
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from pipeline.data.layout import image_suffix
from pipeline.errors import InputError
from pipeline.geometry import nifti_affine, spacing_mm

_RESTORE = "Copy or export the file again."


class VolumeError(InputError):
    """A file that is no usable image.

    Attributes:
        message: what came and which rule it breaks.
        way_out: what to do about it.
    """

    def __init__(self, message: str, way_out: str) -> None:
        """Keep both parts, so that a report can set them apart."""
        super().__init__(f"{message}. {way_out}")
        self.message = message
        self.way_out = way_out


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
        path: ``.nii``, ``.nii.gz`` or ``.png`` (2D, array axes in MONAI's order: column, row), or a folder of DICOM
            files that hold a cine.
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
        raise VolumeError("the file is empty (0 bytes)", _RESTORE)
    try:
        return _read_png(path) if image_suffix(path) == ".png" else _read_nifti(path, frame)
    except EOFError as error:
        raise VolumeError("the file is truncated: it ends before its image does", _RESTORE) from error
    except (OSError, zlib.error, ImageFileError, HeaderDataError, ValueError, OverflowError) as error:
        if isinstance(error, VolumeError):
            raise
        raise VolumeError(f"the file cannot be read: {_first_line(error)}", _RESTORE) from error


def _read_dicom(folder: Path, frame: int | None) -> Volume:
    # pydicom takes its time to import, and most data sets need none of it.
    from pipeline.data.dicom import load_pixels, read_cine

    try:
        stack = read_cine(folder)
        _check_dimensions(stack.shape, frame)
        return Volume(load_pixels(stack)[..., frame], stack.affine)
    except VolumeError:
        raise
    except InputError as error:
        raise VolumeError(f"the cine cannot be read: {error}", _RESTORE) from error


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


def _read_nifti(path: Path, frame: int | None) -> Volume:
    # No memory map: on Windows it would keep the file open as long as the array lives.
    image = nib.load(path, mmap=False)
    if not isinstance(image, nib.Nifti1Pair):
        raise VolumeError(f"the file is {type(image).__name__}, not NIfTI", "Convert it to NIfTI.")
    _check_dimensions(image.shape, frame)
    if image.get_data_dtype().kind not in "biuf":
        raise VolumeError(f"the voxels are {image.get_data_dtype()}, not numbers", "Save it as a scalar image.")
    affine = _usable_affine(image, path)
    array = image.dataobj[..., frame] if frame is not None else image.dataobj
    return Volume(np.asanyarray(array), affine)


def _check_dimensions(shape: tuple[int, ...], frame: int | None) -> None:
    text = "x".join(str(size) for size in shape)
    if 0 in shape or not shape:
        raise VolumeError(f"the image has no voxels (shape {text})", _RESTORE)
    if frame is None and len(shape) not in (2, 3):
        way_out = "Save one phase as a 3D file, or name the phase by 'frame'."
        raise VolumeError(f"the file is {len(shape)}D ({text}) where 3D is needed", way_out)
    if frame is not None and len(shape) != 4:
        raise VolumeError(f"phase {frame} is asked of a {len(shape)}D file ({text})", "Give the 4D file.")
    if frame is not None and not 0 <= frame < shape[3]:
        way_out = "Correct the phase; phases count from 0."
        raise VolumeError(f"phase {frame} is outside the file's {shape[3]} phases ({text})", way_out)


def _usable_affine(image: nib.Nifti1Pair, path: Path) -> NDArray[np.float64]:
    # nibabel sets a zero or negative pixdim right in memory; what the file says has to be read apart.
    with ImageOpener(str(path)) as file:
        stored = type(image.header).from_fileobj(file, check=False)
    pixdim = np.asarray(stored["pixdim"][1 : 1 + min(len(image.shape), 3)], dtype=np.float64)
    if not (pixdim > 0).all():
        numbers = ", ".join(f"{value:g}" for value in pixdim)
        raise VolumeError(f"the header's spacing must be above 0 mm, got {numbers}", "Export it with its spacing.")
    affine = nifti_affine(image)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < np.prod(spacing_mm(affine)) * 1e-6:
        raise VolumeError("the header's affine is singular or not finite", "Export it with its position.")
    return affine

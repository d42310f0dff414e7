"""A NIfTI file read to its last byte and checked, since nibabel mends or overlooks what ends in a wrong mask."""

from __future__ import annotations

import gzip
import io
import math
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import reshape_dataobj
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from pipeline.data.layout import image_suffix
from pipeline.geometry import nifti_affine, spacing_mm

SPACING_RANGE_MM = (0.1, 30.0)
"""MR of any heart, from a mouse's up, lies within; what does not is in another unit, or no spacing at all."""

IN_PLANE_LIMIT_MM = 10.0
"""Pixels are resampled to about 1.5 mm: a stack of 50 mm pixels grows a thousandfold and blocks a cohort."""

RESTORE = "Copy or export the file again."

_HEADER_BYTES = 540  # of NIfTI-2; NIfTI-1 has 348
_CHUNK_BYTES = 1 << 20
_MAX_AXES = 4


class VolumeError(ValueError):
    """A file that is no usable image. Whoever shows it to the user names the file, in an ``InputError`` or a report.

    Attributes:
        message: what came and which rule it breaks.
        way_out: what to do about it.
    """

    def __init__(self, message: str, way_out: str) -> None:
        """Keep both parts, so that a report can set them apart."""
        super().__init__(f"{message}. {way_out}")
        self.message = message
        self.way_out = way_out


def read_nifti(path: str | Path) -> nib.Nifti1Image:
    """Open a NIfTI file whose header is sound and whose bytes are all there.

    A compressed file is unpacked once, as a whole, so that its checksum is compared: nibabel stops where the image
    ends, before the checksum, and passes on damaged voxels. No header's size is believed before as many bytes came.

    Args:
        path: ``.nii``, or compressed by gzip, ``.nii.gz``, of version 1 or 2.

    Returns:
        The image of 2 to 4 axes; further axes of length 1 are dropped. Its voxels are read where they are asked for.

    Raises:
        VolumeError: the header asks for more bytes than there are, has no voxels, other axes, voxels that are no
            numbers, a spacing outside of ``SPACING_RANGE_MM`` or pixels above ``IN_PLANE_LIMIT_MM``, or an affine that
            is singular or not finite.
        OSError, EOFError, zlib.error, ImageFileError, HeaderDataError, ValueError, OverflowError: the file cannot be
            read, or is no NIfTI file.
    """
    path = Path(path)
    packed = image_suffix(path) == ".nii.gz"
    with gzip.open(path) if packed else path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
        kind = _image_class(head)
        # nibabel's own check sets a wrong spacing right in memory: what the file says is to be judged
        header = kind.header_class(head[: kind.header_class.sizeof_hdr], check=False)
        _check_header(header)
        size = _file_size(header)
        content = _read_to_end(file, head, size) if packed else b""
    if (len(content) if packed else path.stat().st_size) < size:
        raise VolumeError(f"the file is truncated or damaged: it holds less than its header's {_text(header)}", RESTORE)
    # no memory map: on Windows it would keep the file open as long as the array lives
    image = kind.from_bytes(content) if packed else kind.from_filename(path, mmap=False)
    _check_affines(image)
    return without_further_axes(image)


def require_sound(image: nib.Nifti1Image) -> None:
    """Check an image in memory as :func:`read_nifti` does a file's header.

    Raises:
        VolumeError: see there.
    """
    _check_header(image.header)
    _check_affines(image)


def _image_class(head: bytes) -> type[nib.Nifti1Image]:
    for kind in (nib.Nifti1Image, nib.Nifti2Image):
        if kind.header_class.may_contain_header(head):
            return kind
    raise ImageFileError("it does not begin like a NIfTI file")


def _read_to_end(file: io.BufferedIOBase, head: bytes, size: int) -> bytes:
    content = io.BytesIO()
    content.write(head)
    while chunk := file.read(_CHUNK_BYTES):
        # what follows the image is read for the checksum alone, and may be endless
        if content.tell() < size:
            content.write(chunk)
    return content.getvalue()


def _shape(header: nib.Nifti1Header) -> tuple[int, ...]:
    dim = header["dim"].tolist()
    return tuple(dim[1 : 1 + dim[0]])


def _text(header: nib.Nifti1Header) -> str:
    return "x".join(str(size) for size in _shape(header)) + f" voxels of {header.get_data_dtype()}"


def _file_size(header: nib.Nifti1Header) -> int:
    return int(header.get_data_offset()) + math.prod(_shape(header)) * int(header.get_data_dtype().itemsize)


def _check_header(header: nib.Nifti1Header) -> None:
    shape, dtype = _shape(header), header.get_data_dtype()
    text = "x".join(str(size) for size in shape)
    if not shape or min(shape) < 1:
        raise VolumeError(f"the image has no voxels (shape {text})", RESTORE)
    if len(shape) < 2 or max(shape[_MAX_AXES:], default=1) > 1:
        message = f"the file is {len(shape)}D ({text}) where a picture, a volume or a cine (2D to 4D) is needed"
        raise VolumeError(message, "Save one phase as a 3D file, or the cine as a 4D file.")
    if dtype.kind not in "biuf":
        name = "".join(dtype.names) if dtype.names else str(dtype)
        raise VolumeError(f"the voxels are {name}, not numbers", "Save it as a scalar image.")
    _check_spacing(np.asarray(header["pixdim"][1 : 1 + min(len(shape), 3)], dtype=np.float64))


def _check_spacing(pixdim: NDArray[np.float64]) -> None:
    numbers = ", ".join(f"{value:g}" for value in pixdim)
    if not (pixdim > 0).all():
        raise VolumeError(f"the header's spacing must be above 0 mm, got {numbers}", "Export it with its spacing.")
    low, high = SPACING_RANGE_MM
    # the axis of the widest spacing steps from slice to slice, see geometry.slice_axis
    if pixdim.min() < low or pixdim.max() > high or np.sort(pixdim)[1] > IN_PLANE_LIMIT_MM:
        rule = f"{low:g} to {high:g} mm along each axis and at most {IN_PLANE_LIMIT_MM:g} mm within a slice"
        message = f"the header's spacing must be {rule}, got {numbers}"
        raise VolumeError(message, "Check the unit (mm), and export it with its spacing.")


def _check_affines(image: nib.Nifti1Image) -> None:
    # viewers place the mask by the one, training resamples by the other, see geometry.nifti_affine
    if not (_is_regular(image.affine) and _is_regular(nifti_affine(image))):
        raise VolumeError("the header's affine is singular or not finite", "Export it with its position.")


def _is_regular(affine: NDArray[np.float64]) -> bool:
    if not np.isfinite(affine).all():
        return False
    return bool(abs(np.linalg.det(affine[:3, :3])) > np.prod(spacing_mm(affine)) * 1e-6)


def without_further_axes(image: nib.Nifti1Image) -> nib.Nifti1Image:
    """Return an image of at most 4 axes; further ones have length 1, see :func:`require_sound`."""
    if len(image.shape) <= _MAX_AXES:
        return image
    return type(image)(reshape_dataobj(image.dataobj, image.shape[:_MAX_AXES]), image.affine, image.header)

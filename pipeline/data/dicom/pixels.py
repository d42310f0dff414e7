"""Decodes the pixels of a cine stack, compressed ones by pydicom's plugins."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.pixels import pixel_array
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipeline.data.dicom.cine import CineStack
from pipeline.data.dicom.frame import Frame
from pipeline.data.dicom.headers import quiet_pydicom, read_headers
from pipeline.data.dicom.rules import plural
from pipeline.data.dicom.values import syntax_name, text
from pipeline.errors import InputError

_PIXEL_TAGS = [
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
]  # fmt: skip
_DECODING_ERRORS = (
    ValueError,
    RuntimeError,
    AttributeError,
    NotImplementedError,
    TypeError,
    KeyError,
    OSError,
    EOFError,
    MemoryError,
)

Places = list[tuple[int, int, Frame]]


def load_pixels(stack: CineStack) -> NDArray[Any]:
    """Return the voxels of a stack.

    Args:
        stack: as ``read_cine`` gave it.

    Returns:
        ``(X, Y, slices, phases)`` with rescale slope and intercept applied: int16 where all values fit, else float32.

    Raises:
        InputError: a file cannot be decoded, or is another than it was when the headers were read.
    """
    columns, rows, slices, phases = stack.shape
    files = _files(stack)
    dtype = _dtype([frame for places in files.values() for _, _, frame in places])
    # written image by image, so the axes of an image come last; the view turns them around
    voxels = np.empty((phases, slices, rows, columns), dtype=dtype)
    with quiet_pydicom():
        for path, places in files.items():
            images = _decode(path, rows, columns)
            for place, phase, frame in places:
                voxels[phase, place] = _rescaled(images, frame)
    return voxels.transpose(3, 2, 1, 0)


def _files(stack: CineStack) -> dict[str, Places]:
    """Return for each file the places of its images in the stack, with their headers."""
    paths = list(dict.fromkeys(source.path for row in stack.frames for source in row))
    known = {(frame.path, frame.number): frame for frame in read_headers(paths).frames}
    files: dict[str, Places] = defaultdict(list)
    for place, row in enumerate(stack.frames):
        for phase, source in enumerate(row):
            frame = known.get((source.path, source.frame_number))
            if frame is None:
                raise InputError(f"{source.path} is gone or has changed while it was read. Read the study again.")
            files[source.path].append((place, phase, frame))
    return files


def _dtype(frames: list[Frame]) -> type[np.generic]:
    plain = all(frame.slope == 1.0 and frame.intercept == 0.0 and not frame.wide for frame in frames)
    return np.int16 if plain else np.float32


def _decode(path: str, rows: int, columns: int) -> NDArray[Any]:
    """Return the stored values of a file's images, ``(images, rows, columns)``."""
    syntax = UID("")
    try:
        dataset = dcmread(path, force=True, specific_tags=list(_PIXEL_TAGS))
        syntax = _ensure_syntax(dataset)
        images = np.asarray(pixel_array(dataset))
    except _DECODING_ERRORS as error:
        lines = str(error).strip().splitlines() or [""]
        raise InputError(
            f"{path} cannot be decoded (transfer syntax {syntax_name(syntax)}; {type(error).__name__}: "
            f"{lines[0]}). Export the study again, uncompressed if it is whole, or take the file out."
        ) from error
    images = images[None] if images.ndim == 2 else images
    if images.ndim != 3 or images.shape[1:] != (rows, columns):
        raise InputError(f"{path} must hold images of {rows} x {columns} pixels, got an array {images.shape}.")
    return images


def _ensure_syntax(dataset: FileDataset) -> UID:
    """Return the transfer syntax; files without meta information get the one that pydicom recognized."""
    known = text(dataset.file_meta, "TransferSyntaxUID")
    if not known:
        implicit, little = dataset.original_encoding
        known = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = UID(known)
    return UID(known)


def _rescaled(images: NDArray[Any], frame: Frame) -> NDArray[Any]:
    index = (frame.number or 1) - 1
    if index >= len(images):
        raise InputError(f"{frame.path} must hold {plural(index + 1, 'image')} or more, got {len(images)}.")
    if frame.slope == 0.0:
        raise InputError(
            f"RescaleSlope must not be 0, which makes all pixels alike: {frame.path}. Export the study again."
        )
    image = images[index]
    if frame.slope == 1.0 and frame.intercept == 0.0:
        return image
    rescaled: NDArray[Any] = image.astype(np.float32) * np.float32(frame.slope) + np.float32(frame.intercept)
    return rescaled

"""NRRD and MetaImage files, which ITK, 3D Slicer and elastix write, as the NIfTI image that they would be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from pipeline.data.itk_header import require_sound_header
from pipeline.data.nifti import RESTORE, VolumeError, require_sound, without_further_axes

_TO_RAS = np.diag([-1.0, -1.0, 1.0])
"""From DICOM's LPS, in which ITK places images, to NIfTI's RAS."""


def read_itk(path: str | Path) -> nib.Nifti1Image:
    """Read a file by SimpleITK, voxels included.

    A sequence of 3D Slicer, whose phases are an axis of kind ``list``, is a cine. Times of the phases are not known:
    these formats have no unit of time.

    Args:
        path: ``.nrrd`` or ``.mha``.

    Returns:
        The image of 2 to 4 axes, in RAS.

    Raises:
        VolumeError: the file cannot be read, the voxels are colors, vectors or complex numbers, or what
            :func:`require_sound_header` and :func:`require_sound` refuse.
        OSError: the file cannot be opened.
    """
    require_sound_header(Path(path))
    # it takes its time to import, and most data sets need none of it
    import SimpleITK

    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        # SimpleITK's own text names places of its source code, and files
        raise VolumeError("ITK cannot read the file: it is damaged, cut off or of another kind", RESTORE) from error
    voxels = _voxels(image, SimpleITK.GetArrayViewFromImage(image))
    made = nib.Nifti1Image(_storable(voxels), _affine(image))
    made.set_qform(made.affine, code="scanner")
    made.set_sform(made.affine, code="scanner")
    made.header.set_xyzt_units("mm", "unknown")
    require_sound(made)
    return without_further_axes(made)


def _voxels(image: Any, array: NDArray[Any]) -> NDArray[Any]:
    """Return ``(X, Y[, Z[, T]])`` of SimpleITK's array, whose axes run the other way, components last."""
    number = image.GetNumberOfComponentsPerPixel()
    if number == 1:
        return array.T
    key = "NRRD_kinds[pixel]"
    kind = image.GetMetaData(key) if image.HasMetaDataKey(key) else ""
    if kind != "list" or image.GetDimension() != 3:
        raise VolumeError(
            f"the voxels are {image.GetPixelIDTypeAsString()} ({number} numbers each), not numbers",
            "Save it as a scalar image, or the cine as a sequence (NRRD, kind list).",
        )
    return np.moveaxis(array, -1, 0).T


def _affine(image: Any) -> NDArray[np.float64]:
    dimension = image.GetDimension()
    axes = np.reshape(image.GetDirection(), (dimension, dimension)) * image.GetSpacing()
    space = min(dimension, 3)
    affine = np.eye(4)
    affine[:space, :space] = axes[:space, :space]
    affine[:space, 3] = image.GetOrigin()[:space]
    affine[:3] = _TO_RAS @ affine[:3]
    return affine


def _storable(voxels: NDArray[Any]) -> NDArray[Any]:
    # NIfTI readers often know no integers of 64 bits, and nibabel asks to choose; Slicer writes labels so
    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize == 8:
        fits = voxels.min(initial=0) >= -(2**31) and voxels.max(initial=0) < 2**31
        return voxels.astype(np.int32 if fits else np.float64)
    return np.array(voxels)

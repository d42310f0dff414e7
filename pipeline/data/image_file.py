"""One file with a grid, of whichever format, as a NIfTI image in memory."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib

from pipeline.data.itk_image import read_itk
from pipeline.data.layout import ITK_SUFFIXES, image_suffix
from pipeline.data.nifti import read_nifti
from pipeline.errors import InputError


def read_image(path: str | Path) -> nib.Nifti1Image:
    """Read a file and check it.

    Args:
        path: of ``layout.VOLUME_SUFFIXES``.

    Raises:
        VolumeError: see :func:`read_nifti` and :func:`read_itk`, also for what else they raise.
    """
    return read_itk(path) if is_itk(path) else read_nifti(path)


def open_image(path: str | Path) -> nib.Nifti1Image:
    """Return a file that was read before, its voxels not yet read where the format allows that.

    Args:
        path: of ``layout.VOLUME_SUFFIXES``.

    Raises:
        InputError: nibabel takes it for another format than NIfTI.
    """
    if is_itk(path):
        return read_itk(path)
    image = nib.load(path)
    if not isinstance(image, nib.Nifti1Image):
        raise InputError(f"{path} must be a NIfTI file (.nii, .nii.gz), got {type(image).__name__}.")
    return image


def is_itk(path: str | Path) -> bool:
    """Tell by its name whether a file is NRRD or MetaImage."""
    return image_suffix(Path(path)) in ITK_SUFFIXES

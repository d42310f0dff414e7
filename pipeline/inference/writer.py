"""Writes masks on the grid of the scan that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from pipeline.data.image_file import open_image
from pipeline.errors import InputError
from pipeline.files import atomic_path


def write_mask(
    path: str | Path, mask: NDArray[Any], reference_image_path: str | Path, scan: nib.Nifti1Image | None = None
) -> Path:
    """Write a segmentation as uint8 NIfTI with the header of the scan.

    Affine, sform and qform with their codes, units and the duration of a phase are the scan's own, also where its
    affine contradicts its pixdim (ACDC): the mask must lie on the scan in every viewer. The file appears whole or not
    at all.

    Args:
        path: where to write, ``.nii`` or ``.nii.gz``; missing folders are made, an earlier mask is replaced.
        mask: label values from 0 to 255, ``(X, Y, Z)`` or ``(X, Y, Z, T)``.
        reference_image_path: the scan.
        scan: what :func:`open_image` gives of it, where it was opened already.

    Returns:
        The path.

    Raises:
        InputError: the mask has another shape than the scan, or ``path`` is the scan.
        ValueError: the mask holds something else than whole numbers from 0 to 255.
    """
    target, source = Path(path), Path(reference_image_path)
    if _same_file(target, source):
        raise InputError(f"the mask would replace its scan {source}. Choose another output_dir.")
    scan = scan or open_image(source)
    if _without_trailing_ones(mask.shape) != _without_trailing_ones(scan.shape):
        raise InputError(f"the mask must have the shape of its scan {source}, {scan.shape}, got {mask.shape}.")
    return save_mask(target, mask, scan)


def save_mask(path: str | Path, mask: NDArray[Any], reference: nib.Nifti1Image) -> Path:
    """Write a segmentation as uint8 NIfTI with the header of a reference.

    Args:
        path: see :func:`write_mask`.
        mask: see :func:`write_mask`; as many voxels as the reference.
        reference: image whose grid and header the mask gets.

    Returns:
        The path.

    Raises:
        ValueError: the mask holds something else than whole numbers from 0 to 255.
    """
    labels = mask.astype(np.uint8)
    if not np.array_equal(labels, mask):
        raise ValueError(f"mask must hold whole numbers from 0 to 255, got values from {mask.min()} to {mask.max()}.")
    image = type(reference)(labels.reshape(reference.shape), reference.affine, _mask_header(reference.header))
    with atomic_path(Path(path)) as partial:
        nib.save(image, partial)
    return Path(path)


def _mask_header(header: nib.Nifti1Header) -> nib.Nifti1Header:
    mask_header: nib.Nifti1Header = header.copy()
    mask_header.set_data_dtype(np.uint8)
    mask_header.set_slope_inter(1.0, 0.0)
    # the scan's display window would show all labels black
    mask_header["cal_min"], mask_header["cal_max"] = 0, 0
    return mask_header


def _same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _without_trailing_ones(shape: Sequence[int]) -> tuple[int, ...]:
    kept = list(shape)
    # down to a picture: a mask has the axes of a cine, (91, 62, 1, 1), also where its scan is 2D
    while len(kept) > 2 and kept[-1] == 1:
        kept.pop()
    return tuple(kept)

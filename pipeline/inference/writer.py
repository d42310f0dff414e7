"""Writes masks on the grid of the scan that they belong to, under its name."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.files import atomic_path


def write_mask(path: str | Path, mask: NDArray[Any], reference_image_path: str | Path) -> Path:
    """Write a segmentation as uint8 NIfTI with the header of the scan.

    Affine, sform and qform with their codes, units and the duration of a phase are the scan's own, also where its
    affine contradicts its pixdim (ACDC): the mask must lie on the scan in every viewer. The file appears whole or not
    at all.

    Args:
        path: where to write, ``.nii`` or ``.nii.gz``; missing folders are made, an earlier mask is replaced.
        mask: label values from 0 to 255, ``(X, Y, Z)`` or ``(X, Y, Z, T)``.
        reference_image_path: the scan.

    Returns:
        The path.

    Raises:
        InputError: the mask has another shape than the scan, or ``path`` is the scan.
        ValueError: the mask holds something else than whole numbers from 0 to 255.
    """
    target, source = Path(path), Path(reference_image_path)
    if _same_file(target, source):
        raise InputError(f"the mask would replace its scan {source}. Choose another output_dir.")
    scan = load_nifti(source)
    if _without_trailing_ones(mask.shape) != _without_trailing_ones(scan.shape):
        raise InputError(f"the mask must have the shape of its scan {source}, {scan.shape}, got {mask.shape}.")
    labels = mask.astype(np.uint8)
    if not np.array_equal(labels, mask):
        raise ValueError(f"mask must hold whole numbers from 0 to 255, got values from {mask.min()} to {mask.max()}.")
    with atomic_path(target) as partial:
        nib.save(type(scan)(labels.reshape(scan.shape), scan.affine, _mask_header(scan.header)), partial)
    return target


def load_nifti(path: str | Path) -> nib.Nifti1Image:
    """Return a NIfTI file with its header read and its voxels not yet.

    Args:
        path: ``.nii`` or ``.nii.gz``, of version 1 or 2.

    Raises:
        InputError: nibabel takes it for another format.
    """
    image = nib.load(path)
    if not isinstance(image, nib.Nifti1Image):
        raise InputError(f"{path} must be a NIfTI file (.nii, .nii.gz), got {type(image).__name__}.")
    return image


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
    while len(kept) > 3 and kept[-1] == 1:
        kept.pop()
    return tuple(kept)


class MaskWriter:
    """Gives each scan's mask the scan's relative path and file name below a folder, and writes it there.

    Whatever would make a mask replace a scan or another mask is refused at construction, before any work.

    Args:
        output_dir: folder of the masks; made where it is missing.
        datalist: the scans, with ``image`` and ``case_id``. Folders in the ``case_id`` become folders below
            ``output_dir``.

    Raises:
        InputError: a mask would replace a scan, two masks would share a file, or ``output_dir`` cannot be written.
    """

    def __init__(self, output_dir: str | Path, datalist: Sequence[Mapping[str, Any]]) -> None:
        self.output_dir = Path(output_dir)
        self.targets = {str(item["case_id"]): self._target(item) for item in datalist}
        self._refuse_scans([Path(item["image"]) for item in datalist])
        self._refuse_shared([self._target(item) for item in datalist])
        make_writable(self.output_dir)

    def __call__(self, item: Mapping[str, Any], mask: NDArray[Any]) -> Path:
        """Write the mask of a scan, see :func:`write_mask`, and return its path."""
        return write_mask(self.targets[str(item["case_id"])], mask, item["image"])

    def _target(self, item: Mapping[str, Any]) -> Path:
        return self.output_dir / Path(item["case_id"]).parent / Path(item["image"]).name

    def _refuse_scans(self, scans: Sequence[Path]) -> None:
        keys = {_file_key(scan) for scan in scans}
        hit = [target for target in self.targets.values() if _file_key(target) in keys]
        if hit:
            raise InputError(
                f"output_dir {self.output_dir} would replace {len(hit)} scans by their masks, such as {hit[0]}. "
                "Choose a folder outside the data set."
            )

    def _refuse_shared(self, targets: Sequence[Path]) -> None:
        shared = [target for target, number in Counter(targets).items() if number > 1]
        if shared:
            raise InputError(
                f"{len(shared)} masks of several scans would share a file, such as {shared[0]}. Give the scans "
                "different names, or the items of the datalist a case_id with the folder."
            )


def _file_key(path: Path) -> str:
    return os.path.normcase(path.resolve())


def make_writable(folder: Path) -> None:
    """Make a folder and prove that a file can be written into it.

    Args:
        folder: the folder; its parents are made too.

    Raises:
        InputError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"output_dir {folder} cannot be written: {error}. Choose another.") from error

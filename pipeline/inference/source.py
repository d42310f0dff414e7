"""The scan behind a mask: its grid, its voxels, and how a mask is written for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from pipeline.data.dicom.cine import CineStack
from pipeline.data.image_file import open_image
from pipeline.data.layout import NIFTI_SUFFIXES, VOLUME_SUFFIXES
from pipeline.geometry import nifti_affine
from pipeline.inference.writer import save_mask, write_mask

ImagePath = str | Sequence[str]
"""Of a datalist's ``image``: a file with a grid, a folder of DICOM files, or a list of them."""


class ScanSource(ABC):
    """A stack or cine as it came.

    Attributes:
        affine: 4x4 matrix from voxel indices to mm, RAS.
        stack: what DICOM says of it; None of other files.
    """

    affine: NDArray[np.float64]
    stack: CineStack | None = None
    _voxels: NDArray[Any] | None = None

    def keep_voxels(self, voxels: NDArray[Any]) -> None:
        """Take the intensities as they were read for the prediction, so that nobody reads the files again."""
        self._voxels = voxels

    def voxels(self) -> NDArray[Any]:
        """Return the intensities ``(X, Y, Z, T)``, read from the files where they are not known."""
        return self._read() if self._voxels is None else self._voxels

    @abstractmethod
    def _read(self) -> NDArray[Any]: ...

    @abstractmethod
    def write_mask(self, path: Path, mask: NDArray[Any]) -> Path:
        """Write a mask ``(X, Y, Z, T)`` as NIfTI on the scan's grid, see ``writer.write_mask``."""

    @property
    @abstractmethod
    def phase_times_ms(self) -> tuple[float, ...] | None:
        """Time of each phase after the first, or after the R wave where it is known."""


class FileSource(ScanSource):
    """A NIfTI, NRRD or MetaImage file.

    Args:
        path: the file.

    Raises:
        InputError: it is of another format.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._image = open_image(self.path)
        self.affine = nifti_affine(self._image)

    def _read(self) -> NDArray[Any]:
        voxels = np.asarray(self._image.dataobj)
        # four axes: missing ones are added, those of length 1 behind the phases dropped
        return voxels.reshape((*voxels.shape, 1, 1, 1)[:4])

    def write_mask(self, path: Path, mask: NDArray[Any]) -> Path:
        """See the base class."""
        return write_mask(path, mask, self.path, scan=self._image)

    @property
    def phase_times_ms(self) -> tuple[float, ...] | None:
        """From the header's phase duration and unit; None where it names no unit of time."""
        _, unit = self._image.header.get_xyzt_units()
        factor = {"sec": 1000.0, "msec": 1.0, "usec": 0.001}.get(unit)
        if self._phases() == 1 or factor is None:
            return None
        duration = float(self._image.header.get_zooms()[3]) * factor
        return tuple(duration * phase for phase in range(self._phases())) if duration > 0 else None

    def _phases(self) -> int:
        return int(self._image.shape[3]) if self._image.ndim > 3 else 1


class DicomSource(ScanSource):
    """A cine stack in DICOM files.

    Args:
        image: their folder, or a list of them.
        series: Series Instance UID or number that overrules the reader's choice.

    Raises:
        InputError: see :func:`pipeline.data.dicom.read_cine`.
    """

    def __init__(self, image: ImagePath, series: str = "") -> None:
        # pydicom takes its time to import, and NIfTI needs none of it
        from pipeline.data.dicom import read_cine

        self.stack: CineStack = read_cine(image, series=series)
        self.affine = self.stack.affine

    def _read(self) -> NDArray[Any]:
        from pipeline.data.dicom import load_pixels

        return load_pixels(self.stack)

    def write_mask(self, path: Path, mask: NDArray[Any]) -> Path:
        """See the base class."""
        return save_mask(path, mask, self._reference())

    @property
    def phase_times_ms(self) -> tuple[float, ...] | None:
        """See the base class."""
        return self.stack.phase_times_ms

    def _reference(self) -> nib.Nifti1Image:
        shape = self.stack.shape if self.stack.shape[3] > 1 else self.stack.shape[:3]
        reference = nib.Nifti1Image(np.broadcast_to(np.uint8(0), shape), self.affine)
        reference.set_qform(self.affine, code="scanner")
        reference.set_sform(self.affine, code="scanner")
        times = self.stack.phase_times_ms
        reference.header.set_xyzt_units("mm", "msec" if times else "unknown")
        if times is not None and len(times) > 1:
            reference.header["pixdim"][4] = (times[-1] - times[0]) / (len(times) - 1)
        return reference


def open_source(image: ImagePath, series: str = "") -> ScanSource:
    """Open the scan of a datalist's item.

    Args:
        image: a file with a grid, a folder of DICOM files, or a list of them.
        series: see :class:`DicomSource`.

    Raises:
        InputError: it cannot be read.
    """
    return FileSource(str(image)) if is_volume(image) else DicomSource(image, series)


def is_volume(image: ImagePath) -> bool:
    """Tell whether an item's image is a NIfTI, NRRD or MetaImage file by its name."""
    return _is_file(image, VOLUME_SUFFIXES)


def is_nifti(image: ImagePath) -> bool:
    """Tell whether an item's image is a NIfTI file by its name."""
    return _is_file(image, NIFTI_SUFFIXES)


def _is_file(image: ImagePath, suffixes: tuple[str, ...]) -> bool:
    return isinstance(image, str) and image.lower().endswith(suffixes) and not Path(image).is_dir()

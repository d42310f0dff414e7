"""Reads an image file or a DICOM study, and names it where it cannot be read."""

from __future__ import annotations

import logging
import os
import warnings
import zlib
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from monai.config import KeysCollection, PathLike
from monai.data import ImageReader, MetaTensor, NibabelReader
from monai.data.utils import correct_nifti_header_if_necessary
from monai.transforms import LoadImage, MapTransform, Transform
from monai.utils import ensure_tuple
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from pipeline.data.image_file import read_image
from pipeline.data.layout import VOLUME_SUFFIXES, image_suffix
from pipeline.data.nifti import VolumeError
from pipeline.errors import InputError

_READ_ERRORS = (OSError, EOFError, RuntimeError, ValueError, OverflowError, zlib.error, ImageFileError, HeaderDataError)

Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class CheckedReader(NibabelReader):
    """MONAI's ``NibabelReader`` for NRRD and MetaImage too, and files that may be damaged, see ``read_image``."""

    def read(self, data: Source, **kwargs: Any) -> Any:
        """Open one file, or a list of them, as MONAI's reader does; ``kwargs`` are not used."""
        self.filenames = ensure_tuple(data)
        images = [correct_nifti_header_if_necessary(read_image(path)) for path in self.filenames]
        return images if len(images) > 1 else images[0]

    def _get_array_data(self, img: Any, filename: PathLike) -> NDArray[Any]:
        # a header's slope makes nibabel compute in float64: of a whole cine that alone would take a GB
        if len(img.shape) != 4:
            return np.asanyarray(img.dataobj)
        phases = np.empty((img.shape[3], *img.shape[:3]), dtype=np.float32)
        for phase in range(img.shape[3]):
            phases[phase] = img.dataobj[..., phase]
        return np.moveaxis(phases, 0, -1)


class _PhasesFirstReader(ImageReader):
    """Another reader whose cines lie phase by phase in memory, ``(phases, X, Y, Z)``, as float32."""

    def __init__(self, reader: ImageReader) -> None:
        super().__init__()
        self.reader = reader

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        return self.reader.verify_suffix(filename)

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> Any:
        return self.reader.read(data, **kwargs)

    def get_data(self, img: Any) -> tuple[NDArray[Any], dict[str, Any]]:
        voxels, meta = self.reader.get_data(img)
        if voxels.ndim == 4:
            voxels = np.ascontiguousarray(np.moveaxis(voxels, -1, 0), dtype=np.float32)
        return voxels, meta


class LoadVolume(Transform):
    """MONAI's ``LoadImage`` for files that may be damaged: its errors name no file, or bury it among its readers.

    Folders, lists of files, and files of other kinds than ``layout.IMAGE_SUFFIXES`` are read as DICOM, by
    ``CineDicomReader``.
    """

    def __init__(self) -> None:
        self.loader = _quiet_loader()

    def __call__(self, path: Source, series: str = "") -> MetaTensor:
        """Read one scan.

        Args:
            path: a file (NIfTI, NRRD, MetaImage, PNG, multi-frame DICOM), or the folder of a DICOM study or the list of
                its files.
            series: Series Instance UID or Series Number of the cine in a DICOM study; empty to choose it.

        Returns:
            The voxels, ``(X, Y)``, ``(X, Y, Z)`` or ``(X, Y, Z, phases)``, float32, with affine (RAS) and name.

        Raises:
            InputError: there is no such file, it is damaged, cut off or of another kind; its header is unsound, see
                :func:`read_image`; or a DICOM study has no cine that can be read.
        """
        if not isinstance(path, (str, os.PathLike)) or os.path.isdir(path):
            return self._load_dicom(path, series)
        if not os.path.isfile(path):
            raise InputError(f"{path} does not exist. Restore the file, or take the case out.")
        if not image_suffix(Path(path)) and _is_dicom(path):
            return self._load_dicom(path, series)
        # a reader of its own for each call: MONAI's keep the name of their file, and cases are cached in threads
        reader = _PhasesFirstReader(CheckedReader()) if image_suffix(Path(path)) in VOLUME_SUFFIXES else None
        try:
            image: MetaTensor = self.loader(path, reader=reader)
        except VolumeError as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        except _READ_ERRORS as error:
            raise InputError(
                f"{path} cannot be read: the file is damaged, cut off or of another kind ({_reason(error)}). "
                "Copy or export it again, or take the case out."
            ) from error
        return image if reader is None else _phases_last(image)

    def _load_dicom(self, source: Source, series: str) -> MetaTensor:
        # pydicom is not needed to read NIfTI
        from pipeline.data.dicom.reader import CineDicomReader

        return _phases_last(self.loader(source, reader=_PhasesFirstReader(CineDicomReader(series))))


def _phases_last(image: MetaTensor) -> MetaTensor:
    # a view: in memory the phases stay apart
    return cast(MetaTensor, image.movedim(0, -1)) if image.ndim == 4 else image


def _quiet_loader() -> LoadImage:
    # MONAI makes all its readers, and with pydicom installed that of nvImageCodec complains that there is none
    logger = logging.getLogger("monai.data.nvimgcodec_pydicom_plugin")
    level = logger.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader")
        logger.setLevel(logging.ERROR)
        try:
            return LoadImage(image_only=True)
        finally:
            logger.setLevel(level)


def _is_dicom(path: str | os.PathLike[str]) -> bool:
    from pipeline.data.dicom.headers import read_headers

    found = read_headers([path])
    return bool(found.frames or found.bad)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1].strip()}" if lines else type(error).__name__


class LoadVolumed(MapTransform):
    """Dictionary form of :class:`LoadVolume`; an item's ``series`` says which DICOM series to read.

    Args:
        keys: keys of the paths, which become images.
        allow_missing_keys: do not raise where a key is missing.
        series: Series Instance UID or Series Number of the cine in DICOM studies whose item has no ``series``.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False, series: str | int = "") -> None:
        super().__init__(keys, allow_missing_keys)
        self.load = LoadVolume()
        self.series = str(series)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Read each file of the item."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.load(d[key], str(d.get("series") or self.series))
        return d

"""Reads an image file, and names it where it cannot be read."""

from __future__ import annotations

import os
import zlib
from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import LoadImage, MapTransform, Transform
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from pipeline.errors import InputError

_READ_ERRORS = (OSError, EOFError, RuntimeError, ValueError, zlib.error, ImageFileError, HeaderDataError)


class LoadVolume(Transform):
    """MONAI's ``LoadImage`` for files that may be damaged: its errors name no file, or bury it among its readers."""

    def __init__(self) -> None:
        self.loader = LoadImage(image_only=True)

    def __call__(self, path: str | os.PathLike[str]) -> MetaTensor:
        """Read one file.

        Args:
            path: a file that MONAI has a reader for: NIfTI, PNG.

        Returns:
            The voxels, ``(X, Y)``, ``(X, Y, Z)`` or ``(X, Y, Z, phases)``, with the file's affine and name.

        Raises:
            InputError: there is no such file, or it is damaged, cut off or of another kind.
        """
        if not os.path.isfile(path):
            raise InputError(f"{path} does not exist. Restore the file, or take the case out.")
        try:
            image: MetaTensor = self.loader(path)
        except _READ_ERRORS as error:
            raise InputError(
                f"{path} cannot be read: the file is damaged, cut off or of another kind ({_reason(error)}). "
                "Copy or export it again, or take the case out."
            ) from error
        return image


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1].strip()}" if lines else type(error).__name__


class LoadVolumed(MapTransform):
    """Dictionary form of :class:`LoadVolume`.

    Args:
        keys: keys of the paths, which become images.
        allow_missing_keys: do not raise where a key is missing.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.load = LoadVolume()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Read each file of the item."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.load(d[key])
        return d

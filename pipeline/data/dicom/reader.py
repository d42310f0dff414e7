"""Reads a DICOM study's short-axis cine by MONAI's ``LoadImage``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import MetaKeys, SpaceKeys
from numpy.typing import NDArray

from pipeline.data.dicom.cine import CineStack
from pipeline.data.dicom.pixels import load_pixels
from pipeline.data.dicom.study import read_cine
from pipeline.data.layout import image_suffix


class CineDicomReader(ImageReader):
    """MONAI reader of cine DICOM: a folder, a list of files, or a multi-frame file becomes one volume in time.

    ``LoadImaged(keys="image", reader=CineDicomReader)`` gives ``(X, Y, slices, phases)``, of a single phase ``(X, Y,
    slices)``, with the affine of the slices' positions in RAS, as of a NIfTI file of the same stack.

    Args:
        series: Series Instance UID or Series Number of the cine; empty to choose it.
    """

    def __init__(self, series: str | int = "") -> None:
        super().__init__()
        self.series = str(series)

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Tell whether the reader takes the files: those of no suffix in ``layout.IMAGE_SUFFIXES``."""
        return not any(image_suffix(path) for path in map(Path, _as_list(filename)))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> list[str]:
        """Return the paths; all else is left to ``get_data``.

        After an error here ``LoadImage`` would try MONAI's own readers, which take the phases for slices and say
        nothing: what this reader refuses must stay refused.

        Args:
            data: a folder, a file, or a list of them.
            kwargs: ignored.

        Raises:
            NotImplementedError: these are of a kind in ``layout.IMAGE_SUFFIXES``, which other readers take.
        """
        if not self.verify_suffix(data):
            raise NotImplementedError(f"CineDicomReader reads DICOM, got {data}.")
        return [os.fspath(path) for path in _as_list(data)]

    def get_data(self, img: Sequence[str]) -> tuple[NDArray[Any], dict[str, Any]]:
        """Return the voxels and the metadata that MONAI goes by.

        Args:
            img: the paths from ``read``.

        Raises:
            InputError: see ``read_cine`` and ``load_pixels``.
        """
        stack = read_cine(img[0] if len(img) == 1 else img, self.series)
        voxels = load_pixels(stack)
        if stack.shape[3] == 1:
            voxels = voxels[..., 0]
        return voxels, _metadata(stack, voxels)


def _as_list(data: Sequence[PathLike] | PathLike) -> list[PathLike]:
    return [data] if isinstance(data, (str, os.PathLike)) else list(data)


def _metadata(stack: CineStack, voxels: NDArray[Any]) -> dict[str, Any]:
    # as MONAI's NibabelReader says it of a 4D file: the phases are the last axis, and it is the channel
    return {
        MetaKeys.AFFINE: stack.affine.copy(),
        MetaKeys.ORIGINAL_AFFINE: stack.affine.copy(),
        MetaKeys.SPACE: SpaceKeys.RAS,
        MetaKeys.SPATIAL_SHAPE: np.asarray(voxels.shape[:3]),
        MetaKeys.ORIGINAL_CHANNEL_DIM: -1 if voxels.ndim == 4 else float("nan"),
    }

"""Gives a cine the grid that its header describes, where MONAI's reader leaves a contradictory one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform
from monai.utils import MetaKeys
from numpy.typing import NDArray

from pipeline.geometry import nifti_affine


class RepairAffine(Transform):
    """Sets the affine of an image to ``geometry.nifti_affine`` of its file; place it right after ``LoadImage``.

    MONAI's ``NibabelReader`` mends an sform that contradicts the header's pixdim in 3D files (ACDC: 1 mm isotropic
    instead of, say, 1.56 x 1.56 x 10 mm), but not in 4D files, unless their phases last 1: a cine would be resampled
    from a wrong spacing. Images that are consistent, or do not come from a NIfTI file, stay as they are.
    """

    def __call__(self, img: torch.Tensor) -> torch.Tensor:
        """Return the image, with another affine where its file says so.

        Args:
            img: image as loaded, with the path of its file in the metadata.
        """
        if not isinstance(img, MetaTensor):
            return img
        affine = _file_affine(Path(str(img.meta.get("filename_or_obj", ""))))
        if affine is None or np.allclose(affine, img.affine.numpy()):
            return img
        repaired = {MetaKeys.AFFINE: torch.as_tensor(affine), MetaKeys.ORIGINAL_AFFINE: affine.copy()}
        return MetaTensor(img.as_tensor(), meta=img.meta | repaired)


def _file_affine(path: Path) -> NDArray[np.float64] | None:
    # the folder of a DICOM study may have any name
    if not path.name.lower().endswith((".nii", ".nii.gz")) or not path.is_file():
        return None
    image = nib.load(path)
    return nifti_affine(image) if isinstance(image, nib.Nifti1Image) else None


class RepairAffined(MapTransform):
    """Dictionary form of :class:`RepairAffine`.

    Args:
        keys: keys of the images.
        allow_missing_keys: do not raise where a key is missing.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.repairer = RepairAffine()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Repair the affine of each image of the item."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.repairer(d[key])
        return d

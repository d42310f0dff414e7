"""One in-plane orientation for all stacks, with the slices left where they are."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform
from monai.transforms.spatial.functional import orientation
from monai.utils import SpaceKeys, TraceKeys
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.geometry import slice_axis, spacing_mm
from pipeline.transforms.check_image import source_name

IN_PLANE_ORDER = ("L", "P", "I")
"""Directions in which the in-plane axes run, the first of them first (the display convention of DICOM)."""

_OPPOSITE = {"R": "L", "A": "P", "S": "I"}
_RAS_LABELS = (("L", "R"), ("P", "A"), ("I", "S"))
_LPS_LABELS = (("R", "L"), ("A", "P"), ("I", "S"))


def in_plane_ornt(affine: NDArray[np.float64], space: str = SpaceKeys.RAS) -> NDArray[np.float64]:
    """Return where each array axis goes and whether it is flipped, as nibabel writes orientations.

    Args:
        affine: 4x4 matrix from voxel indices to ``space`` in mm.
        space: ``"RAS"`` or ``"LPS"``.

    Returns:
        Array of shape (3, 2): a row an array axis, with its place after the transform and 1, or -1 where it is flipped.

    Raises:
        ValueError: two axes of the affine run along the same line, or one has no length.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    if np.linalg.matrix_rank(matrix[:3, :3]) < 3:
        raise ValueError("the axes of the affine must span the volume")
    # an image and its label may differ by the rounding of their headers: at 45 degrees it must not decide
    directions = np.diag([0.0, 0.0, 0.0, 1.0])
    directions[:3, :3] = np.round(matrix[:3, :3] / spacing_mm(matrix), 4)
    codes = nib.aff2axcodes(directions, _LPS_LABELS if space == SpaceKeys.LPS else _RAS_LABELS)
    through = slice_axis(matrix)
    targets = {axis: _OPPOSITE.get(code, code) for axis, code in enumerate(codes) if axis != through}
    order = sorted(targets, key=lambda axis: IN_PLANE_ORDER.index(targets[axis]))
    ornt = np.ones((3, 2))
    ornt[[*order, through], 0] = range(3)
    ornt[[axis for axis in order if codes[axis] != targets[axis]], 1] = -1
    return ornt


class OrientInPlane(InvertibleTransform):
    """Brings a stack into one in-plane orientation and its slice axis to the end, by permuting and flipping axes.

    The slice axis (``geometry.slice_axis``) becomes the last one and keeps its direction. The two others are ordered
    and flipped by their closest anatomical direction: toward L, else P, else I. Whether the normal of the slices is
    closest to the I, A or L axis, the heart is so always seen from its apex, never mirrored.
    ``monai.transforms.Orientation`` instead assigns all three axes by direction: where the normal of an oblique stack
    is closest to L or P, it turns the slice axis into the plane.

    No voxel is resampled; the inverse restores the grid exactly. Not lazy.
    """

    def __call__(self, img: torch.Tensor) -> torch.Tensor:
        """Orient one stack.

        Args:
            img: channel-first stack ``(C, X, Y, Z)``; the affine of a plain tensor is the identity.

        Returns:
            The oriented stack, a MetaTensor with its new affine.

        Raises:
            InputError: the affine is singular.
        """
        affine = img.affine.numpy() if isinstance(img, MetaTensor) else np.eye(4)
        try:
            ornt = in_plane_ornt(affine, _space(img))
        except ValueError as error:
            raise InputError(
                f"{source_name(img)} has no usable orientation: {error}, got {affine.tolist()}."
            ) from error
        return orientation(img, affine, ornt, lazy=False, transform_info=self.get_transform_info())

    def inverse(self, data: torch.Tensor) -> torch.Tensor:
        """Restore the grid of the stack that was oriented."""
        info = self.pop_transform(data)
        ornt = in_plane_ornt(np.asarray(info[TraceKeys.EXTRA_INFO]["original_affine"]), _space(data))
        back = np.ones_like(ornt)
        back[ornt[:, 0].astype(int)] = np.column_stack([range(3), ornt[:, 1]])
        affine = data.affine.numpy() if isinstance(data, MetaTensor) else np.eye(4)
        return orientation(data, affine, back, lazy=False, transform_info={TraceKeys.TRACING: False})


def _space(img: torch.Tensor) -> str:
    return str(SpaceKeys(img.meta.get("space") or SpaceKeys.RAS)) if isinstance(img, MetaTensor) else SpaceKeys.RAS


class OrientInPlaned(MapTransform, InvertibleTransform):
    """Dictionary form of :class:`OrientInPlane`.

    Args:
        keys: keys of the stacks.
        allow_missing_keys: do not raise where a key is missing.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.orienter = OrientInPlane()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Orient each stack of the item."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.orienter(d[key])
        return d

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Restore the grid of each stack of the item."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.orienter.inverse(d[key])
        return d

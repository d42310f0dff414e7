"""Cases of an evaluation kept small, to be drawn once it is known which of them matter."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from monai.transforms import EnsureChannelFirst
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.metrics.segmentation import item_affine, mask_array
from pipeline.transforms import EnsureVolume, LoadVolume


@dataclass(frozen=True)
class PackedMask:
    """A mask compressed: about an eightieth of its bytes on ACDC, since most of it is background."""

    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def pack(cls, mask: NDArray[np.uint8]) -> PackedMask:
        """Compress a uint8 array; the fastest level, which masks do not gain from raising."""
        return cls(mask.shape, zlib.compress(np.ascontiguousarray(mask).tobytes(), level=1))

    def unpack(self) -> NDArray[np.uint8]:
        """Return the array again."""
        return np.frombuffer(zlib.decompress(self.data), dtype=np.uint8).reshape(self.shape)


@dataclass(frozen=True)
class KeptCase:
    """Masks of one case on its original grid, and where its image is.

    Attributes:
        case_id: name of the case.
        pred: predicted mask.
        label: expert mask.
        affine: 4x4, from voxel indices to mm.
        image_path: file of the scan, or the folder of its DICOM files.
        frame: index of the phase along the fourth axis of a 4D file, or None.
    """

    case_id: str
    pred: PackedMask
    label: PackedMask
    affine: NDArray[np.float64]
    image_path: str
    frame: int | None

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> KeptCase:
        """Keep a case of the evaluator's output: ``pred``, ``label``, ``image`` with its file, ``case_id``, ``frame``.

        Raises:
            TypeError: the image does not name its file.
        """
        meta = getattr(item.get("image"), "meta", {})
        if "filename_or_obj" not in meta:
            raise TypeError("image must be a MetaTensor that names its file, 'filename_or_obj', to draw an overlay.")
        return cls(
            case_id=str(item["case_id"]),
            pred=PackedMask.pack(mask_array("pred", item["pred"])),
            label=PackedMask.pack(mask_array("label", item["label"])),
            affine=item_affine(item),
            image_path=str(meta["filename_or_obj"]),
            frame=int(item["frame"]) if "frame" in item else None,
        )

    def load_image(self) -> NDArray[np.float32]:
        """Read the scan as it was before preprocessing.

        Returns:
            Intensities, of the shape of the masks.

        Raises:
            InputError: the file's grid is not that of the masks.
        """
        loaded = EnsureChannelFirst()(LoadVolume()(self.image_path))
        phases = np.asarray(EnsureVolume()(loaded))
        image = phases[self.frame if self.frame is not None and len(phases) > 1 else 0]
        if image.shape != self.pred.shape:
            raise InputError(
                f"{self.image_path}: the image has shape {image.shape}, the masks of '{self.case_id}' have "
                f"{self.pred.shape}; put the masks back on the image's grid before the evaluation report."
            )
        return image

"""Writes how undecided a prediction was, on the grid of its mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.utils import convert_to_numpy

from pipeline.data.image_file import open_image
from pipeline.files import atomic_path
from pipeline.transforms.uncertainty import UNCERTAINTY

FOLDER = "uncertainty"


def write_uncertainty(
    output_dir: Path, case_id: str, phases: Sequence[Mapping[str, Any]], mask_path: Path
) -> Path | None:
    """Write ``uncertainty/CASE.nii.gz``, float32 from 0 to 1, with the affine and header of the mask.

    Args:
        output_dir: folder of the masks.
        case_id: name of the scan; folders in it become folders.
        phases: of the scan, each with the map of ``transforms.Uncertaintyd``, ``(1, X, Y, Z)``.
        mask_path: NIfTI file of the scan's mask.

    Returns:
        The path written; None where the phases have no map.
    """
    if not phases or any(UNCERTAINTY not in phase for phase in phases):
        return None
    mask = open_image(mask_path)
    values = np.stack([convert_to_numpy(phase[UNCERTAINTY])[0] for phase in phases], axis=-1).astype(np.float32)
    header = mask.header.copy()
    header.set_data_dtype(np.float32)
    header["cal_max"] = 1.0
    path = output_dir / FOLDER / f"{case_id}.nii.gz"
    with atomic_path(path) as partial:
        nib.save(type(mask)(values.reshape(mask.shape), mask.affine, header), partial)
    return path

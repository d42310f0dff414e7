"""The ACDC volumes that everything is measured on, laid out as each program wants them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from pipeline.data import acdc_datalist

MODALITY = "_0000"
"""What nnU-Net wants at the end of the name of each image."""


def choose_volumes(dataset_dir: Path, number: int) -> list[Path]:
    """Return volumes whose sizes stand for the data set: evenly spaced by number of voxels, the middle one first.

    Args:
        dataset_dir: ACDC's folder ``training``.
        number: how many, at least 1.
    """
    paths = [Path(item["image"]) for item in acdc_datalist(dataset_dir)]
    by_size = sorted(paths, key=lambda path: (int(np.prod(nib.load(path).shape)), path.name))
    places = ((np.arange(number) + 0.5) / number * len(by_size)).astype(int)
    outward = sorted(places, key=lambda place: abs(place - len(by_size) / 2))
    return [by_size[place] for place in outward]


def lay_out(volumes: Sequence[Path], copies: int, folder: Path) -> Path:
    """Copy volumes into a folder, each ``copies`` times under names of its own that nnU-Net takes too.

    Args:
        volumes: the files.
        copies: of each.
        folder: is emptied first.

    Returns:
        The folder.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for copy in range(copies):
        for volume in volumes:
            name = volume.name.removesuffix(".nii.gz")
            shutil.copyfile(volume, folder / f"{name}_copy{copy}{MODALITY}.nii.gz")
    return folder


def copy_patients(dataset_dir: Path, number: int, folder: Path) -> Path:
    """Copy the first patients of each stretch of the data set, which is sorted by disease, in ACDC's layout.

    Args:
        dataset_dir: ACDC's folder ``training``.
        number: of patients.
        folder: kept as it is where it has them.

    Returns:
        The folder.
    """
    patients = sorted(path for path in dataset_dir.iterdir() if path.is_dir())
    chosen = [patients[int(place)] for place in np.linspace(0, len(patients), number, endpoint=False)]
    for patient in chosen:
        if not (folder / patient.name).is_dir():
            wanted = shutil.ignore_patterns("*_4d*")
            shutil.copytree(patient, folder / patient.name, ignore=wanted)
    return folder

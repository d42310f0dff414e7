"""Tiny data sets in the layouts that the adapters read."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

SHAPE = (10, 9, 3)
SPACING_MM = (1.4, 1.6, 9.0)

Writer = Callable[..., str]
ItemWriter = Callable[..., dict[str, Any]]


def oblique_affine(spacing_mm: tuple[float, float, float] = SPACING_MM) -> NDArray[np.float64]:
    """Affine of a short-axis stack: turned by 30 degrees about z, then by 40 about x, far from the origin."""
    a, b = np.deg2rad([30.0, 40.0])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_z @ np.diag(spacing_mm)
    affine[:3, 3] = (-80.0, 35.0, 120.0)
    return affine


def intensities(seed: int = 0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(1, 1000, SHAPE, dtype=np.int16)


def heart() -> NDArray[np.uint8]:
    """Label in ACDC's values; in each of 3 slices RV 8, MYO 12 (around the LV) and LV 4 voxels."""
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[1:3, 3:7] = 1
    label[3:7, 3:7] = 2
    label[4:6, 4:6] = 3
    return label


def write_nifti(path: Path, array: NDArray[Any], affine: NDArray[np.float64] | None = None) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, oblique_affine() if affine is None else affine), path)
    return str(path)


@pytest.fixture
def nifti() -> Writer:
    """Writes an array as NIfTI on the oblique grid, or on the one given, and returns its path."""
    return write_nifti


@pytest.fixture
def write_case(tmp_path: Path) -> ItemWriter:
    """Writes an image and a label and returns their case; each array and affine can be replaced."""

    def write(
        name: str = "patient001_ed",
        image: NDArray[Any] | None = None,
        label: NDArray[Any] | None = None,
        label_affine: NDArray[np.float64] | None = None,
        affine: NDArray[np.float64] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        return {
            "image": write_nifti(tmp_path / f"{name}.nii.gz", intensities() if image is None else image, affine),
            "label": write_nifti(
                tmp_path / f"{name}_gt.nii.gz",
                heart() if label is None else label,
                affine if label_affine is None else label_affine,
            ),
            "patient_id": name.split("_")[0],
            "case_id": name,
            "phase": name.split("_")[1],
            "group": "",
            **more,
        }

    return write


@pytest.fixture
def acdc_dir(tmp_path: Path) -> Path:
    """Two patients in ACDC's layout, ED in frame 1 and ES in frame 12, with a 4D file and a text beside them."""
    for number, group in ((1, "DCM"), (2, "NOR")):
        folder = tmp_path / "acdc" / f"patient{number:03d}"
        for frame in (1, 12):
            stem = folder / f"patient{number:03d}_frame{frame:02d}"
            write_nifti(stem.with_name(stem.name + ".nii.gz"), image_of(number, frame))
            write_nifti(stem.with_name(stem.name + "_gt.nii.gz"), heart())
        info = f"ED: 1\nES: 12\nGroup: {group}\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n"
        (folder / "Info.cfg").write_text(info, encoding="utf-8")
        (folder / f"patient{number:03d}_4d.nii.gz").touch()
    (tmp_path / "acdc" / "MANDATORY_CITATION.md").write_text("Cite.", encoding="utf-8")
    return tmp_path / "acdc"


def image_of(number: int, frame: int) -> NDArray[np.int16]:
    """Image that no other patient and frame has."""
    return intensities(seed=100 * number + frame)


@pytest.fixture
def mnms_dir(tmp_path: Path) -> Path:
    """One labelled patient in M&Ms' layout, 4D with ED in phase 0 and ES in phase 2, and one without labels."""
    root = tmp_path / "mnms"
    cine = np.stack([intensities(seed) for seed in range(3)], axis=-1)
    labels = np.stack([(4 - heart()) % 4] * 3, axis=-1)
    write_nifti(root / "Training" / "Labeled" / "A0S9V9" / "A0S9V9_sa.nii.gz", cine)
    write_nifti(root / "Training" / "Labeled" / "A0S9V9" / "A0S9V9_sa_gt.nii.gz", labels)
    write_nifti(root / "Training" / "Unlabeled" / "B1" / "B1_sa.nii.gz", cine)
    with (root / "M&Ms_Labelled.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["", "External code", "Vendor", "ED", "ES", "Pathology", "Height", "Weight"])
        table.writerow(["0", "A0S9V9", "C", "0", "2", "HCM", "170.0", "N/A"])
        table.writerow(["1", "B1", "A", "0", "1", "NOR", "", ""])
    return root


@pytest.fixture
def decathlon_dir(tmp_path: Path) -> Path:
    """Two labelled cases and one for testing in the Decathlon's layout."""
    root = tmp_path / "Task02_Heart"
    for name in ("la_004", "la_003"):
        write_nifti(root / "imagesTr" / f"{name}.nii.gz", intensities())
        write_nifti(root / "labelsTr" / f"{name}.nii.gz", heart())
    write_nifti(root / "imagesTs" / "la_001.nii.gz", intensities())
    training = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in ("la_004", "la_003")
    ]
    content = {"name": "Heart", "training": training, "test": ["./imagesTs/la_001.nii.gz"]}
    (root / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return root


@pytest.fixture
def folder_dir(tmp_path: Path) -> Path:
    """A plain folder: patient001 with two phases to train on, patient002 with one to validate on."""
    root = tmp_path / "plain"
    for seed, name in enumerate(
        ("train/{}/patient001_ed.nii.gz", "train/{}/patient001_es.nii.gz", "val/{}/patient002_frame01.nii")
    ):
        write_nifti(root / name.format("images"), intensities(seed))
        write_nifti(root / name.format("masks"), heart())
    return root

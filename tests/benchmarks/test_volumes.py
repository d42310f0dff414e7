"""Which volumes are measured, and how they are laid out."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmarks.volumes import choose_volumes, copy_patients, lay_out


@pytest.fixture
def dataset_dir(tmp_path: Path) -> Path:
    """Ten volumes of 1 to 10 slices in ACDC's layout, two a patient."""
    for patient in range(1, 6):
        folder = tmp_path / "training" / f"patient{patient:03d}"
        folder.mkdir(parents=True)
        (folder / "Info.cfg").write_text("ED: 1\nES: 2\nGroup: NOR\nHeight: 180\nWeight: 80\n", encoding="utf-8")
        for frame in (1, 2):
            voxels = np.zeros((8, 8, 2 * (patient - 1) + frame), np.int16)
            for ending in ("", "_gt"):
                path = folder / f"patient{patient:03d}_frame{frame:02d}{ending}.nii.gz"
                nib.save(nib.Nifti1Image(voxels, np.diag([1.5, 1.5, 8.0, 1.0])), path)
    return tmp_path / "training"


def test_one_volume_is_of_middle_size(dataset_dir: Path) -> None:
    assert choose_volumes(dataset_dir, 1)[0].name == "patient003_frame02.nii.gz"  # 6 of 10 slices


def test_volumes_are_spread_over_the_sizes(dataset_dir: Path) -> None:
    slices = sorted(nib.load(path).shape[2] for path in choose_volumes(dataset_dir, 5))
    assert slices == [2, 4, 6, 8, 10]


def test_copies_have_names_of_their_own(dataset_dir: Path, tmp_path: Path) -> None:
    folder = lay_out(choose_volumes(dataset_dir, 1), 2, tmp_path / "cohort")
    assert sorted(path.name for path in folder.iterdir()) == [
        "patient003_frame02_copy0_0000.nii.gz",
        "patient003_frame02_copy1_0000.nii.gz",
    ]


def test_patients_come_from_the_whole_data_set(dataset_dir: Path, tmp_path: Path) -> None:
    folder = copy_patients(dataset_dir, 2, tmp_path / "patients")
    assert sorted(path.name for path in folder.iterdir()) == ["patient001", "patient003"]

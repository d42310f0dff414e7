from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from pipeline.inference.uncertainty_map import write_uncertainty

SHAPE = (6, 5, 3)
# oblique: 1.5 x 2 x 8 mm, turned by a right angle about x
AFFINE = np.array([[-1.5, 0, 0, 30], [0, 0, -8, -20], [0, 2, 0, 10], [0, 0, 0, 1.0]])


@pytest.fixture
def mask_path(tmp_path: Path) -> Path:
    path = tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((*SHAPE, 2), np.uint8), AFFINE), path)
    return path


def test_phases_are_written_on_the_grid_of_the_mask(tmp_path: Path, mask_path: Path) -> None:
    phases = [{"uncertainty": torch.full((1, *SHAPE), value)} for value in (0.25, 0.5)]
    written = nib.load(write_uncertainty(tmp_path / "out", "visit 1/a", phases, mask_path))
    assert written.get_filename() == str(tmp_path / "out" / "uncertainty" / "visit 1" / "a.nii.gz")
    assert np.allclose(written.affine, AFFINE, atol=1e-4)
    assert written.get_data_dtype() == np.float32
    assert np.asarray(written.dataobj)[2, 3, 1].tolist() == [0.25, 0.5]


@pytest.mark.parametrize("phases", [[], [{"image": 1}]])
def test_phases_without_a_map_leave_no_file(tmp_path: Path, mask_path: Path, phases: list[dict[str, int]]) -> None:
    assert write_uncertainty(tmp_path / "out", "a", phases, mask_path) is None
    assert not (tmp_path / "out").exists()

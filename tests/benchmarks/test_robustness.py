from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from robustness import choose, write_changed
from robustness_corruptions import CORRUPTIONS

# as ACDC has it: the sform says 1 mm, the header 1.5 x 2 x 8 mm
SFORM, ZOOMS_MM = np.diag([-1.0, -1, 1, 1]), (1.5, 2.0, 8.0)


def cases(patients: int) -> list[dict[str, Any]]:
    return [
        {"patient_id": f"p{number}", "case_id": f"p{number}_{phase}"} for number in range(patients) for phase in "de"
    ]


@pytest.fixture
def item(tmp_path: Path) -> dict[str, Any]:
    voxels = np.arange(4 * 5 * 2, dtype=np.int16).reshape(4, 5, 2)
    for name, data in (("image", voxels), ("label", (voxels % 4).astype(np.uint8))):
        file = nib.Nifti1Image(data, SFORM)
        file.header.set_zooms(ZOOMS_MM)
        nib.save(file, tmp_path / f"{name}.nii.gz")
    return {"image": str(tmp_path / "image.nii.gz"), "label": str(tmp_path / "label.nii.gz"), "case_id": "a"}


@pytest.mark.parametrize(("number", "chosen"), [(20, 10), (5, 2), (4, 2), (1, 1), (200, 10)])
def test_whole_patients_are_chosen(number: int, chosen: int) -> None:
    found = choose(cases(10), number)
    assert len(found) == 2 * chosen
    assert len({case["patient_id"] for case in found}) == chosen


def test_changed_case_is_written_with_the_spacing_of_its_header(tmp_path: Path, item: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "out").mkdir()
    written = write_changed(item, CORRUPTIONS["every second slice"], rng, tmp_path / "out")
    image, label = nib.load(written["image"]), nib.load(written["label"])
    assert image.header.get_zooms() == (1.5, 2.0, 16.0)
    assert np.allclose(np.linalg.norm(image.affine[:3, :3], axis=0), [1.5, 2, 16])
    assert np.array_equal(image.affine, label.affine)
    assert np.asarray(label.dataobj).ravel().tolist() == [0, 2] * 10
    assert written["case_id"] == "a"

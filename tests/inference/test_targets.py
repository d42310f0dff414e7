from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.inference.targets import MaskTargets

SaveScan = Callable[..., Path]


def test_mask_of_a_dicom_study_is_named_after_its_case(tmp_path: Path) -> None:
    item = {"image": [str(tmp_path / "x" / "1.dcm")], "case_id": "p1/study_1"}
    assert MaskTargets(tmp_path / "out", [item])["p1/study_1"] == tmp_path / "out" / "p1" / "study_1.nii.gz"


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_mask_of_another_format_is_nifti(tmp_path: Path, suffix: str) -> None:
    item = {"image": str(tmp_path / f"a{suffix}"), "case_id": "a"}
    assert MaskTargets(tmp_path / "out", [item])["a"] == tmp_path / "out" / "a.nii.gz"


def test_mask_of_another_format_does_not_replace_what_lies_beside_the_scan(tmp_path: Path) -> None:
    item = {"image": str(tmp_path / "a.mha"), "case_id": "a"}
    with pytest.raises(InputError, match=r"would replace 1 scans by their masks, such as .*a\.nii\.gz"):
        MaskTargets(tmp_path, [item])


def test_masks_keep_folder_and_name(tmp_path: Path, save_scan: SaveScan, labels: np.ndarray) -> None:
    item = {"image": str(save_scan("p1/a.nii.gz", labels)), "case_id": "p1/a"}
    assert MaskTargets(tmp_path / "out", [item])["p1/a"] == tmp_path / "out" / "p1" / "a.nii.gz"


def test_output_over_the_scans_is_refused(tmp_path: Path, save_scan: SaveScan, labels: np.ndarray) -> None:
    item = {"image": str(save_scan("p1/a.nii.gz", labels)), "case_id": "p1/a"}
    with pytest.raises(InputError, match=r"would replace 1 scans by their masks.* Choose a folder outside"):
        MaskTargets(tmp_path / "scans", [item])


def test_output_below_the_scans_is_allowed(tmp_path: Path, save_scan: SaveScan, labels: np.ndarray) -> None:
    item = {"image": str(save_scan("p1/a.nii.gz", labels)), "case_id": "p1/a"}
    MaskTargets(tmp_path / "scans" / "masks", [item])
    assert (tmp_path / "scans" / "masks").is_dir()


def test_masks_that_would_share_a_file_are_refused(tmp_path: Path) -> None:
    datalist = [{"image": f"{folder}/a.nii.gz", "case_id": folder} for folder in "pq"]
    with pytest.raises(InputError, match=r"1 masks of several scans would share a file, such as .*a.nii.gz"):
        MaskTargets(tmp_path / "out", datalist)


def test_refused_output_is_not_made(tmp_path: Path) -> None:
    datalist = [{"image": f"{folder}/a.nii.gz", "case_id": folder} for folder in "pq"]
    with pytest.raises(InputError, match="share a file"):
        MaskTargets(tmp_path / "out", datalist)
    assert not (tmp_path / "out").exists()


def test_output_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(InputError, match=r"output_dir .*out cannot be written: .* Choose another"):
        MaskTargets(tmp_path / "file" / "out", [])


def test_mask_of_a_numbered_scan_has_its_number(tmp_path: Path) -> None:
    item = {"image": "in/Doe.nii", "case_id": "study_001", "name": "Doe"}
    assert MaskTargets(tmp_path / "out", [item])["study_001"] == tmp_path / "out" / "study_001.nii.gz"

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.registry.request import form_of, scan_path

SPACING = [1.5, 2.0, 8.0]


@pytest.mark.parametrize(
    ("row", "form"),
    [
        ({"path": "x", "nifti": None, "image": math.nan}, "path"),
        ({"path": "", "nifti": b"x"}, "nifti"),
        ({"image": [[[1.0]]], "spacing_mm": SPACING}, "image"),
    ],
)
def test_form_is_the_one_that_is_given(row: dict[str, Any], form: str) -> None:
    assert form_of(row) == form


@pytest.mark.parametrize(("row", "got"), [({}, "none of them"), ({"path": "x", "nifti": b"y"}, "path, nifti")])
def test_request_of_no_or_several_forms_is_refused(row: dict[str, Any], got: str) -> None:
    with pytest.raises(InputError, match=f"exactly one of: .*; got {got}"):
        form_of(row)


def test_path_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"path must exist on the machine of the model, got '.*none.nii'"):
        scan_path({"path": str(tmp_path / "none.nii")}, tmp_path)


def test_path_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.nii").touch()
    assert scan_path({"path": str(tmp_path / "a.nii")}, tmp_path) == tmp_path / "a.nii"


@pytest.mark.parametrize(("content", "name"), [(gzip.compress(b"n"), "scan.nii.gz"), (b"n", "scan.nii")])
def test_bytes_are_written_under_the_suffix_that_fits(tmp_path: Path, content: bytes, name: str) -> None:
    path = scan_path({"nifti": content}, tmp_path)
    assert (path.name, path.read_bytes()) == (name, content)


@pytest.mark.parametrize(("content", "got"), [("text", "str"), (b"", "none")])
def test_bytes_must_be_bytes(tmp_path: Path, content: Any, got: str) -> None:
    with pytest.raises(InputError, match=f"nifti must be the bytes of a NIfTI file, got {got}"):
        scan_path({"nifti": content}, tmp_path)


def test_array_lies_as_in_dicom(tmp_path: Path) -> None:
    voxels = np.arange(24.0).reshape(2, 3, 4)
    image = nib.load(scan_path({"image": voxels.tolist(), "spacing_mm": SPACING}, tmp_path))
    np.testing.assert_array_equal(np.asarray(image.dataobj), voxels)
    np.testing.assert_allclose(image.affine, np.diag([-1.5, -2.0, 8.0, 1.0]))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([[1.0]], r"axes X, Y, Z or X, Y, Z, T, got the shape \(1, 1\)"),
        (np.zeros((2, 0, 2)), r"got the shape \(2, 0, 2\)"),
        ([[[1.0, 2.0]], [[1.0]]], "regular array of numbers, got list"),
        ("heart", "regular array of numbers, got str"),
    ],
)
def test_image_that_is_none_is_refused(tmp_path: Path, image: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        scan_path({"image": image, "spacing_mm": SPACING}, tmp_path)


@pytest.mark.parametrize("spacing", [None, [1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 1.0, math.inf], "wide"])
def test_spacing_must_be_three_positive_numbers(tmp_path: Path, spacing: Any) -> None:
    with pytest.raises(InputError, match="spacing_mm must be three positive numbers"):
        scan_path({"image": np.ones((2, 2, 2)), "spacing_mm": spacing}, tmp_path)

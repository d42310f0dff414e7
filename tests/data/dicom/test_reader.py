"""MONAI's LoadImage on DICOM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.transforms import Compose, EnsureChannelFirstd, LoadImage, LoadImaged
from numpy.typing import NDArray

from pipeline.data.dicom.reader import CineDicomReader
from pipeline.errors import InputError

WriteStudy = Callable[..., Path]


def expected(slices: int = 3, phases: int = 5) -> NDArray[np.int64]:
    x, y, z, t = np.ogrid[:8, :6, :slices, :phases]
    return x + 10 * y + 100 * t + 1000 * z


def test_cine_is_a_volume_in_time(write_study: WriteStudy) -> None:
    folder = write_study()
    image = LoadImage(reader=CineDicomReader)(folder)
    np.testing.assert_array_equal(image, expected())
    assert image.meta["filename_or_obj"] == str(folder)


def test_grid_is_that_of_a_nifti_file_of_the_same_stack(write_study: WriteStudy, tmp_path: Path) -> None:
    image = LoadImage(reader=CineDicomReader)(write_study())
    nifti = nib.Nifti1Image(expected().astype(np.int16), image.affine.numpy())
    nifti.header.set_zooms((*nifti.header.get_zooms()[:3], 1.0))
    nib.save(nifti, tmp_path / "same.nii.gz")
    same = LoadImage()(tmp_path / "same.nii.gz")
    np.testing.assert_allclose(image.affine, same.affine, atol=1e-4)
    np.testing.assert_array_equal(image.meta["spatial_shape"], same.meta["spatial_shape"])
    assert (image.meta["space"], image.meta["original_channel_dim"]) == (same.meta["space"], -1)


def test_phases_become_channels(write_study: WriteStudy) -> None:
    load = Compose([LoadImaged(keys="image", reader=CineDicomReader), EnsureChannelFirstd(keys="image")])
    image = load({"image": str(write_study())})["image"]
    assert image.shape == (5, 8, 6, 3)
    np.testing.assert_array_equal(image[2], expected()[..., 2])


def test_single_phase_is_a_volume(write_study: WriteStudy) -> None:
    image = LoadImage(reader=CineDicomReader(series="5"))(write_study(phases=1))
    np.testing.assert_array_equal(image, expected(phases=1)[..., 0])
    assert EnsureChannelFirstd(keys="image")({"image": image})["image"].shape == (1, 8, 6, 3)


def test_list_of_files_is_one_cine(write_study: WriteStudy) -> None:
    files = [str(path) for path in write_study().iterdir()]
    np.testing.assert_array_equal(LoadImage(reader=CineDicomReader)(files), expected())


def test_reader_is_found_by_its_dotted_path(write_study: WriteStudy) -> None:
    load = LoadImage(reader="pipeline.data.dicom.reader.CineDicomReader", series=5)
    np.testing.assert_array_equal(load(write_study()), expected())


def test_refused_study_stays_refused(write_study: WriteStudy) -> None:
    folder = write_study(PixelSpacing=[-1, 1])
    with pytest.raises(InputError, match="PixelSpacing must be"):
        LoadImage(reader=CineDicomReader)(folder)


def test_nifti_is_left_to_the_other_readers(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.ones((4, 3, 2), np.int16), np.eye(4)), tmp_path / "a.nii.gz")
    assert LoadImage(reader=CineDicomReader)(tmp_path / "a.nii.gz").shape == (4, 3, 2)


@pytest.mark.parametrize(("name", "taken"), [("a.nii.gz", False), ("a.PNG", False), ("a.dcm", True), ("IM_1", True)])
def test_suffix_tells_what_is_none(name: str, taken: bool) -> None:
    assert CineDicomReader().verify_suffix(name) is taken
    assert CineDicomReader().verify_suffix([Path("folder"), name]) is taken


def test_nifti_is_refused_by_the_reader_itself() -> None:
    with pytest.raises(NotImplementedError, match=r"CineDicomReader reads DICOM, got a\.nii"):
        CineDicomReader().read("a.nii")

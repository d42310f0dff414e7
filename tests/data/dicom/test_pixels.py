"""Voxels of a stack, however they are encoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import JPEGLSLossless, RLELossless

from pipeline.data.dicom import load_pixels, read_cine
from pipeline.data.dicom.headers import _read_file
from pipeline.errors import InputError

WriteStudy = Callable[..., Path]


def expected(slices: int = 3, phases: int = 5) -> NDArray[np.int64]:
    """What ``write_study`` writes: x + 10 y + 100 phase + 1000 slice."""
    x, y, z, t = np.ogrid[:8, :6, :slices, :phases]
    return x + 10 * y + 100 * t + 1000 * z


def edit(path: Path, **values: Any) -> None:
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


def test_voxels_are_where_they_belong(write_study: WriteStudy) -> None:
    voxels = load_pixels(read_cine(write_study()))
    assert voxels.dtype == np.int16
    np.testing.assert_array_equal(voxels, expected())


def test_rescale_of_each_image_counts(write_study: WriteStudy) -> None:
    folder = write_study()
    edit(folder / "1_3", RescaleSlope="0.5", RescaleIntercept="-3")
    voxels = load_pixels(read_cine(folder))
    rescaled = expected().astype(float)
    rescaled[:, :, 1, 3] = 0.5 * rescaled[:, :, 1, 3] - 3
    assert voxels.dtype == np.float32
    np.testing.assert_array_equal(voxels, rescaled)


def test_values_of_16_bits_without_sign_are_kept(write_study: WriteStudy) -> None:
    folder = write_study(BitsStored=16, HighBit=15)
    edit(folder / "0_0", PixelData=np.full((6, 8), 65000, "<u2").tobytes())
    voxels = load_pixels(read_cine(folder))
    assert voxels.dtype == np.float32
    assert (voxels[:, :, 0, 0] == 65000).all()


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_voxels_are_decoded(write_study: WriteStudy, syntax: str) -> None:
    folder = write_study()
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(path)
    np.testing.assert_array_equal(load_pixels(read_cine(folder)), expected())


def test_file_that_cannot_be_decoded_is_named(write_study: WriteStudy) -> None:
    folder = write_study()
    edit(folder / "0_1", BitsAllocated=13)
    with pytest.raises(InputError, match=r"0_1 cannot be decoded \(transfer syntax Explicit VR Little Endian; "):
        load_pixels(read_cine(folder))


def test_file_that_has_gone_is_named(write_study: WriteStudy) -> None:
    folder = write_study()
    stack = read_cine(folder)
    (folder / "2_2").unlink()
    with pytest.raises(InputError, match="2_2 is gone or has changed while it was read"):
        load_pixels(stack)


def test_file_that_has_another_size_by_now_is_named(write_study: WriteStudy) -> None:
    folder = write_study()
    stack = read_cine(folder)
    edit(folder / "2_2", Rows=3, PixelData=bytes(48))
    with pytest.raises(InputError, match=r"2_2 must hold images of 6 x 8 pixels, got an array \(1, 3, 8\)"):
        load_pixels(stack)


def test_multi_frame_file_that_holds_fewer_images_is_named(
    write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_study()
    from pipeline.data.dicom import pixels

    stack = read_cine(folder)
    monkeypatch.setattr(pixels, "_decode", lambda path, rows, columns: np.zeros((0, rows, columns)))
    with pytest.raises(InputError, match="0_0 must hold 1 image or more, got 0"):
        load_pixels(stack)


def test_headers_are_read_once(write_study: WriteStudy) -> None:
    folder = write_study()
    load_pixels(read_cine(folder))
    read_cine(folder)
    assert _read_file.cache_info().misses == 15

"""Headers of files that may be anything."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from pipeline.data.dicom import headers
from pipeline.data.dicom.headers import Headers, read_headers


@pytest.fixture
def image(write_study: Callable[..., Path]) -> Path:
    return write_study(slices=1, phases=1) / "0_0"


def read(path: Path) -> Headers:
    return read_headers([path])


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def compress(path: Path) -> None:
    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(path)


def test_image_is_read_whole(image: Path) -> None:
    (frame,) = read(image).frames
    assert (frame.path, frame.header.damage) == (str(image), "")


@pytest.mark.parametrize("content", [b"", b"text", b"\x08\x00 no attribute", bytes(200)])
def test_other_files_are_counted(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert read(tmp_path / "file") == Headers((), (), 1)


def test_file_without_preamble_is_read(image: Path) -> None:
    dataset = pydicom.dcmread(image)
    bare = pydicom.Dataset({element.tag: element for element in dataset})
    pydicom.dcmwrite(image, bare, implicit_vr=True, little_endian=True)
    assert len(read(image).frames) == 1


def test_file_that_is_gone_is_bad(tmp_path: Path) -> None:
    (bad,) = read(tmp_path / "gone").bad
    assert bad.reason.startswith("it cannot be read")


def test_secure_file_is_encrypted(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes.fromhex("3080 06092a864886f70d010703") + bytes(200))
    (bad,) = read(tmp_path / "file").bad
    assert "encrypted" in bad.reason


def test_object_whose_size_is_encrypted_is_bad(image: Path) -> None:
    dataset = pydicom.dcmread(image)
    del dataset.Rows, dataset.Columns
    dataset.EncryptedAttributesSequence = [pydicom.Dataset()]
    dataset.save_as(image)
    (bad,) = read(image).bad
    assert "encrypted" in bad.reason


def test_object_whose_pixels_are_encrypted_is_damaged(image: Path) -> None:
    dataset = pydicom.dcmread(image)
    del dataset.PixelData
    dataset.EncryptedAttributesSequence = [pydicom.Dataset()]
    dataset.save_as(image)
    (frame,) = read(image).frames
    assert frame.header.damage == "its pixel data is encrypted; decrypt it first"


@pytest.mark.parametrize("missing", [1, 12, 60])
def test_image_cut_off_in_its_pixels_is_damaged(image: Path, missing: int) -> None:
    cut(image, image.stat().st_size - missing)
    (frame,) = read(image).frames
    assert "cut off within its pixel data" in frame.header.damage


def test_image_without_pixels_is_damaged(image: Path) -> None:
    dataset = pydicom.dcmread(image)
    del dataset.PixelData
    dataset.save_as(image)
    (frame,) = read(image).frames
    assert "no pixel data" in frame.header.damage


def test_image_cut_off_in_its_header_is_bad(image: Path) -> None:
    cut(image, 400)
    (bad,) = read(image).bad
    assert "header" in bad.reason


def test_compressed_image_is_read_whole(image: Path) -> None:
    compress(image)
    (frame,) = read(image).frames
    assert frame.header.damage == ""


def test_compressed_image_that_is_cut_off_is_damaged(image: Path) -> None:
    compress(image)
    cut(image, image.stat().st_size - 40)
    (frame,) = read(image).frames
    assert "cut off within its pixel data" in frame.header.damage


def test_compressed_image_with_nonsense_between_its_fragments_is_damaged(image: Path) -> None:
    compress(image)
    content = image.read_bytes()
    image.write_bytes(content.replace(b"\xfe\xff\x00\xe0", b"\xfe\xff\x01\xe0"))
    (frame,) = read(image).frames
    assert "compressed pixel data" in frame.header.damage


def test_deflated_image_is_read(image: Path) -> None:
    dataset = pydicom.dcmread(image)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(image)
    (frame,) = read(image).frames
    assert (frame.columns, frame.header.damage) == (8, "")


def test_deflated_image_that_is_cut_off_is_bad(image: Path) -> None:
    test_deflated_image_is_read(image)
    cut(image, image.stat().st_size - 40)
    (bad,) = read(image).bad
    assert "header is damaged" in bad.reason


@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.1.3.10"], ids=["SR", "DICOMDIR"])
def test_report_and_directory_are_other_files(image: Path, sop_class: str) -> None:
    dataset = pydicom.dcmread(image)
    del dataset.Rows, dataset.Columns, dataset.PixelData
    dataset.Modality, dataset.SOPClassUID = "SR", sop_class
    dataset.save_as(image)
    assert read(image) == Headers((), (), 1)


def test_file_is_read_again_only_if_it_has_changed(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[object] = []
    dcmread = pydicom.dcmread
    monkeypatch.setattr(headers, "dcmread", lambda *args, **more: reads.append(args) or dcmread(*args, **more))
    read(image)
    read(image)
    assert len(reads) == 1
    image.write_bytes(image.read_bytes() + b"\x00\x00")
    read(image)
    assert len(reads) == 2


def test_pydicom_says_nothing_of_broken_values(image: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pydicom.config.disable_value_validation():
        dataset = pydicom.dcmread(image)
        dataset.StudyInstanceUID = "not a uid"
        dataset.save_as(image)
    with caplog.at_level(logging.DEBUG):
        read(image)
    assert caplog.records == []
    assert logging.getLogger("pydicom").level != logging.CRITICAL


def test_many_files_show_progress(
    image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(headers, "MANY_FILES", 2)
    read_headers([image, image], progress=True)
    assert "read DICOM headers" in capsys.readouterr().err
    read_headers([image], progress=True)
    assert capsys.readouterr().err == ""

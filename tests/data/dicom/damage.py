"""Small cine studies of the phantom, and what scanners, archives and people do to them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from pipeline.data.dicom import load_pixels, read_cine
from pipeline.data.dicom.cine import CineStack
from pipeline.data.phantom import CineStudy, PhantomPatient, on_dicom_grid, write_cine_dicom
from pipeline.data.phantom.dicom import mr_image, save_dicom

SLICES, PHASES = 4, 6
SHAPE, SPACING_MM = (48, 40, SLICES), (3.5, 4.25, 10.0)
COMPRESSED = {
    "JPEG lossless": JPEGLosslessSV1,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
    "RLE": RLELossless,
}
# pydicom has no encoder for the first, and for the second only with one more package
_BY_GDCM = {
    JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    JPEG2000Lossless: gdcm.TransferSyntax.JPEG2000Lossless,
}

Pixels = NDArray[np.generic]


@dataclass(frozen=True)
class Folder:
    """A phantom cine on disk; its slices are numbered along the normal, so that readers give them in this order."""

    path: Path
    study: CineStudy
    files: tuple[Path, ...]

    @property
    def cine(self) -> NDArray[np.int16]:
        return self.study.cine

    @property
    def affine(self) -> NDArray[np.float64]:
        return self.study.affine

    def file(self, z: int, phase: int) -> Path:
        return self.files[z * PHASES + phase]

    def slice_files(self, z: int) -> tuple[Path, ...]:
        return self.files[z * PHASES : (z + 1) * PHASES]


@lru_cache(maxsize=1)
def phantom_study() -> CineStudy:
    patient = PhantomPatient(1, "NOR", SHAPE, SPACING_MM)
    cine = np.stack([patient.render(phase / PHASES)[0] for phase in range(PHASES)], axis=-1)
    return CineStudy(*on_dicom_grid(cine, patient.affine), rr_ms=900.0)


def write_folder(path: Path, style: str = "classic", slices_backwards: bool = False, **changes: Any) -> Folder:
    study = replace(phantom_study(), **changes)
    return Folder(path, study, tuple(write_cine_dicom(path, study, style, slices_backwards)))


def copy_folder(template: Folder, path: Path) -> Folder:
    shutil.copytree(template.path, path)
    return replace(template, path=path, files=tuple(path / file.name for file in template.files))


def edit(files: Path | Iterable[Path], change: Callable[[pydicom.Dataset], None] | None = None, **values: Any) -> None:
    """Set attributes of files, remove those that are None, or do anything else to their data sets."""
    for file in [files] if isinstance(files, Path) else files:
        dataset = pydicom.dcmread(file)
        with pydicom.config.disable_value_validation():
            for keyword, value in values.items():
                if value is None:
                    dataset.pop(keyword, None)
                else:
                    setattr(dataset, keyword, value)
            if change is not None:
                change(dataset)
            dataset.save_as(file)


def set_raw(dataset: pydicom.Dataset, keyword: str, text: str) -> None:
    """Set a decimal string that pydicom would not write: no number, or one out of range."""
    tag = Tag(keyword)
    dataset[tag] = RawDataElement(tag, "DS", len(text), text.encode(), 0, False, True)


def each(files: Iterable[Path], keyword: str, values: Iterable[Any]) -> None:
    """Give each file its own value of an attribute."""
    for file, value in zip(files, values, strict=True):
        edit(file, **{keyword: value})


def cut(file: Path, share: float) -> None:
    """Keep the first share of a file."""
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])


def cut_header(file: Path) -> None:
    """Cut a file off in the middle of its attributes, long before the pixels."""
    file.write_bytes(file.read_bytes()[:700])


def transcode(file: Path, syntax: str) -> None:
    """Compress a file without loss."""
    if syntax not in _BY_GDCM:
        dataset = pydicom.dcmread(file)
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(file)
        return
    dataset = pydicom.dcmread(file)
    dataset.PixelData = _compressed_by_gdcm(file, _BY_GDCM[syntax])
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(file)


def _compressed_by_gdcm(file: Path, syntax: int) -> bytes:
    # gdcm's writer changes functional groups too, so that only its pixels are taken
    reader = gdcm.ImageReader()
    reader.SetFileName(str(file))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    copy = file.with_name("gdcm.tmp")
    writer.SetFileName(str(copy))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    pixels: bytes = pydicom.dcmread(copy).PixelData
    copy.unlink()
    return pixels


def deflate(file: Path) -> None:
    dataset = pydicom.dcmread(file)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(file)


def to_big_endian(file: Path) -> None:
    dataset = pydicom.dcmread(file)
    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    pydicom.dcmwrite(file, dataset, implicit_vr=False, little_endian=False, force_encoding=True)


def without_preamble(file: Path) -> None:
    """Write the bare data set, as scanners did before there was a file format."""
    dataset = pydicom.dcmread(file)
    bare = pydicom.Dataset({element.tag: element for element in dataset})
    pydicom.dcmwrite(file, bare, implicit_vr=True, little_endian=True)


def encrypt(file: Path) -> None:
    """Put bytes in the place of a file that begin as a Secure DICOM File does: CMS enveloped data."""
    file.write_bytes(bytes.fromhex("30820f0006092a864886f70d010703a0820ef1") + bytes(range(256)) * 8)


def scatter(folder: Folder, seed: int = 0) -> None:
    """Move the files into nested folders under names without extension and without order."""
    names = [f"{number:x}" for number in random.Random(seed).sample(range(10**6, 10**7), len(folder.files))]
    for index, (file, name) in enumerate(zip(folder.files, names, strict=True)):
        target = folder.path / f"DIR{index % 3}" / f"SUB{index % 2}" / name.upper()
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)


def add_junk(path: Path) -> None:
    """Put beside the images what one finds beside images."""
    (path / "README.txt").write_text("Exported by the archive.", encoding="utf-8")
    (path / "empty.dcm").touch()
    (path / "DICM_not.dcm").write_bytes(bytes(128) + b"DICM" + bytes(range(256)))
    (path / ".hidden").write_bytes(b"\x00\x05")
    (path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))


def add_series(folder: Folder, name: str, study: CineStudy, number: int, **values: Any) -> list[Path]:
    """Write another series of the same examination into a folder of its own below the study."""
    files = []
    for instance, (z, phase) in enumerate(np.ndindex(study.num_slices, study.num_phases), start=1):
        image = mr_image(study, z, phase, instance, number)
        image.SOPInstanceUID = folder.study.uid(name, z, phase)
        image.StudyInstanceUID = folder.study.uid("study")
        image.SeriesInstanceUID = folder.study.uid("series", name)
        image.SeriesDescription = name
        for keyword, value in values.items():
            setattr(image, keyword, value)
        files.append(folder.path / f"S{number:03d}" / f"{instance:04d}")
        files[-1].parent.mkdir(exist_ok=True)
        save_dicom(files[-1], image)
    return files


def turned(study: CineStudy, slices: int = 1, phases: int = PHASES) -> CineStudy:
    """Return part of a cine whose images lie across the short axis: rows and slices have changed places."""
    affine = study.affine.copy()
    directions = affine[:3, :3] / study.spacing_mm
    affine[:3, :3] = np.stack([directions[:, 2], directions[:, 1], -directions[:, 0]], axis=1) * study.spacing_mm
    return replace(study, cine=study.cine[:, :, :slices, :phases], affine=affine)


def to_ct(dataset: pydicom.Dataset) -> None:
    dataset.Modality = "CT"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage


def copy_as(file: Path, name: str) -> Path:
    return Path(shutil.copy(file, file.with_name(name)))


# What must hold of a study that was read


def read(folder: Folder, series: str = "") -> tuple[CineStack, Pixels]:
    stack = read_cine(folder.path, series)
    return stack, load_pixels(stack)


def assert_read_whole(folder: Folder, stack: CineStack, pixels: Pixels) -> None:
    assert np.array_equal(pixels, folder.cine)
    assert stack.affine == pytest.approx(folder.affine, abs=1e-3)
    assert stack.shape == folder.cine.shape


def assert_told(stack: CineStack, *words: str) -> None:
    """Assert that one repair says all the words."""
    texts = [f"{repair.problem}: {repair.resolution}".lower() for repair in stack.repairs]
    assert any(all(word in text for word in words) for text in texts), texts


def assert_nearest_phase(folder: Folder, pixels: Pixels, z: int, phase: int) -> None:
    """Assert that a lost image was replaced by that before or after it, and all others are as they were."""
    expected = folder.cine.copy()
    expected[:, :, z, phase] = pixels[:, :, z, phase]
    assert np.array_equal(pixels, expected)
    neighbors = [folder.cine[:, :, z, (phase + step) % PHASES] for step in (-1, 1)]
    assert any(np.array_equal(pixels[:, :, z, phase], neighbor) for neighbor in neighbors)

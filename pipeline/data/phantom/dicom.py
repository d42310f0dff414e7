"""Phantom patients as DICOM, as a scanner writes a cine: MR images one by one, or one Enhanced MR object.

Source: DICOM PS3.3, A.4 (MR Image IOD) and C.8.3.1 (MR Image module); A.36.2 for Enhanced MR, see ``enhanced``.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from pipeline.data.phantom.cine_study import CineStudy, attributes, decimal, patient_and_study
from pipeline.data.phantom.enhanced import enhanced_mr
from pipeline.errors import InputError

DICOM_STYLES = ("classic", "series_a_slice", "enhanced")
"""One file an image in one series; one file an image, a series a slice; one multi-frame file."""

SERIES_DESCRIPTION = "Cine SAX bSSFP"


def write_cine_dicom(
    folder: str | os.PathLike[str], study: CineStudy, style: str = "classic", slices_backwards: bool = False
) -> list[Path]:
    """Write a cine as DICOM files, every phase of the first slice first.

    Args:
        folder: folder of the files; made where it does not exist.
        study: the cine and its patient.
        style: one of ``DICOM_STYLES``.
        slices_backwards: number the images, or the frames, from the last slice to the first, as scanners that begin
            at the other end do. The positions stay.

    Returns:
        The files, ``IM0001.dcm`` and so on, in the order of their instance numbers.

    Raises:
        InputError: an unknown style.
    """
    if style not in DICOM_STYLES:
        raise InputError(f"style must be one of {', '.join(DICOM_STYLES)}, got '{style}'.")
    order = list(range(study.num_slices))[:: -1 if slices_backwards else 1]
    places = [(z, phase) for z in order for phase in range(study.num_phases)]
    if style == "enhanced":
        datasets = [enhanced_mr(study, places)]
    else:
        series = {z: 1 + order.index(z) if style == "series_a_slice" else 1 for z in order}
        datasets = [
            mr_image(study, z, phase, instance, series[z]) for instance, (z, phase) in enumerate(places, start=1)
        ]
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths = [Path(folder) / f"IM{number:04d}.dcm" for number in range(1, len(datasets) + 1)]
    for path, dataset in zip(paths, datasets, strict=True):
        save_dicom(path, dataset)
    return paths


def mr_image(study: CineStudy, z: int, phase: int, instance: int, series: int = 1) -> Dataset:
    """Return one slice of one phase as an MR Image, pixels included.

    Args:
        study: the cine and its patient.
        z: index of the slice.
        phase: index of the phase.
        instance: Instance Number.
        series: Series Number; other numbers are other series.
    """
    image = patient_and_study(study)
    image.update(_acquisition(study))
    image.update(
        attributes(
            SOPClassUID=MRImageStorage,
            SOPInstanceUID=study.uid("image", z, phase),
            SeriesInstanceUID=study.uid("series", series),
            SeriesNumber=series,
            SeriesDescription=SERIES_DESCRIPTION,
            InstanceNumber=instance,
            AcquisitionNumber=1,
            ImagePositionPatient=study.position(z),
            ImageOrientationPatient=study.orientation(),
            SliceLocation=decimal(z * study.spacing_mm[2]),
            TriggerTime=decimal(study.trigger_ms(phase)),
            TemporalPositionIdentifier=phase + 1,
            NumberOfTemporalPositions=study.num_phases,
            PixelData=study.pixels(z, phase).tobytes(),
        )
    )
    return image


def save_dicom(path: Path, dataset: Dataset) -> None:
    """Write a data set as a DICOM file with preamble and file meta information, its pixels uncompressed."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dcmwrite(path, dataset, enforce_file_format=True)


def _acquisition(study: CineStudy) -> Dataset:
    """Return how the cine was taken: a segmented, retrospectively gated bSSFP."""
    return attributes(
        ImageType=["ORIGINAL", "PRIMARY", "OTHER"],
        SeriesDate="20200101",
        SeriesTime="120500",
        ContentDate="20200101",
        ContentTime="120500",
        ProtocolName=SERIES_DESCRIPTION,
        BodyPartExamined="HEART",
        ScanningSequence="GR",
        SequenceVariant="SS",
        ScanOptions="CG",
        MRAcquisitionType="2D",
        RepetitionTime="3.2",
        EchoTime="1.6",
        EchoTrainLength=1,
        FlipAngle="50",
        MagneticFieldStrength="1.5",
        SliceThickness=decimal(study.slice_thickness_mm),
        SpacingBetweenSlices=decimal(study.spacing_mm[2]),
        PixelSpacing=study.pixel_spacing(),
        NominalInterval=round(study.rr_ms),
        HeartRate=round(60000 / study.rr_ms),
        CardiacNumberOfImages=study.num_phases,
    )

"""Cine DICOM as scanners write it. MONAI's reader is ``pipeline.data.dicom.reader.CineDicomReader``: it needs torch."""

from pipeline.data.dicom.cine import CineStack, Repair, SourceFrame
from pipeline.data.dicom.listing import ListedSeries, ListedStudy, find_cines, format_cines
from pipeline.data.dicom.pixels import load_pixels
from pipeline.data.dicom.study import read_cine

__all__ = [
    "CineStack",
    "ListedSeries",
    "ListedStudy",
    "Repair",
    "SourceFrame",
    "find_cines",
    "format_cines",
    "load_pixels",
    "read_cine",
]

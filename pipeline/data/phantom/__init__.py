"""A parametric phantom of the beating heart in short-axis MR: patients as arrays, or as files in ACDC's layout.

``heart`` is the geometry, ``diseases`` the variation between patients, ``canvas``, ``torso`` and ``heart_painter`` turn
them into tissues, ``scanner`` into an MR image, ``grid`` places the slices, ``case`` puts one patient together and
``cohort`` writes many; ``cine_study``, ``dicom`` and ``enhanced`` write them as DICOM.
"""

from pipeline.data.phantom.case import PhantomCase, PhantomPatient, make_phantom_case
from pipeline.data.phantom.cine_study import CineStudy, on_dicom_grid
from pipeline.data.phantom.cohort import make_phantom_cohort
from pipeline.data.phantom.dicom import DICOM_STYLES, write_cine_dicom
from pipeline.data.phantom.diseases import PHANTOM_GROUPS

__all__ = [
    "DICOM_STYLES",
    "PHANTOM_GROUPS",
    "CineStudy",
    "PhantomCase",
    "PhantomPatient",
    "make_phantom_case",
    "make_phantom_cohort",
    "on_dicom_grid",
    "write_cine_dicom",
]

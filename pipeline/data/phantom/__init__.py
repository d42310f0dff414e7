"""A parametric phantom of the beating heart in short-axis MR: patients as arrays, or as files in ACDC's layout.

``heart`` is the geometry, ``diseases`` the variation between patients, ``canvas``, ``torso`` and ``heart_painter`` turn
them into tissues, ``scanner`` into an MR image, ``grid`` places the slices, ``case`` puts one patient together and
``cohort`` writes many.
"""

from pipeline.data.phantom.case import PhantomCase, PhantomPatient, make_phantom_case
from pipeline.data.phantom.cohort import make_phantom_cohort
from pipeline.data.phantom.diseases import PHANTOM_GROUPS

__all__ = ["PHANTOM_GROUPS", "PhantomCase", "PhantomPatient", "make_phantom_case", "make_phantom_cohort"]

"""Data sets on disk as MONAI datalists, split by patient.

The check of a whole data set needs pandas and lives in ``pipeline.data.check``; modules that need torch are imported by
their own names too, so that this package stays quick to import.
"""

from pipeline.data.acdc import acdc_datalist
from pipeline.data.datalist import detect_format, load_datalist
from pipeline.data.decathlon import decathlon_datalist
from pipeline.data.digest import dataset_digest
from pipeline.data.folder import folder_datalist
from pipeline.data.mnms import mnms_datalist
from pipeline.data.problem import Problem
from pipeline.data.splits import Split, make_split, stratified_folds
from pipeline.data.sunnybrook import sunnybrook_datalist, whole_cases

__all__ = [
    "Problem",
    "Split",
    "acdc_datalist",
    "dataset_digest",
    "decathlon_datalist",
    "detect_format",
    "folder_datalist",
    "load_datalist",
    "make_split",
    "mnms_datalist",
    "stratified_folds",
    "sunnybrook_datalist",
    "whole_cases",
]

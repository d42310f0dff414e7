"""DICOM objects that a segmented study leaves: a segmentation and a structured report, tied to its images."""

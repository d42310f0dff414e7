"""Heart rate and body size, where a study states them and they can be true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.data.dicom.cine import Repair
from pipeline.data.dicom.frame import Frame

HEART_RATE_BPM = (20.0, 300.0)
HEIGHT_CM = (20.0, 260.0)
WEIGHT_KG = (0.5, 500.0)


def heart_rate_bpm(frames: Sequence[Frame]) -> float | None:
    """Return the median of the heart rates that the images state, or of those that their R-R intervals mean."""
    rates = [frame.header.heart_rate_bpm for frame in frames]
    intervals = [frame.header.rr_interval_ms for frame in frames]
    # ms from beat to beat: 60 000 ms a minute
    from_intervals = [60_000.0 / interval for interval in intervals if interval]
    for values in ([rate for rate in rates if rate is not None], from_intervals):
        possible = [value for value in values if HEART_RATE_BPM[0] <= value <= HEART_RATE_BPM[1]]
        if possible:
            return round(float(np.median(possible)), 2)
    return None


def height_cm(patient_size: float | None) -> tuple[float | None, list[Repair]]:
    """Return the height in cm of a Patient's Size, which is in meters, and by mistake sometimes in cm."""
    if patient_size is None:
        return None, []
    if HEIGHT_CM[0] <= patient_size * 100 <= HEIGHT_CM[1]:
        return round(patient_size * 100, 2), []
    if HEIGHT_CM[0] <= patient_size <= HEIGHT_CM[1]:
        return patient_size, [Repair("the patient's size is written in cm, not in m", "taken as cm")]
    return None, []


def weight_kg(patient_weight_kg: float | None) -> float | None:
    """Return the weight where it can be one; scanners write 0 where none was entered."""
    if patient_weight_kg is None or not WEIGHT_KG[0] <= patient_weight_kg <= WEIGHT_KG[1]:
        return None
    return patient_weight_kg

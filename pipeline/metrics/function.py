"""Volumes over the heart beat and what they say of the heart's function."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CardiacFunction:
    """The clinical numbers of one study; None where a number cannot be known.

    Volumes are sums of slice areas times the distance of the slices (Simpson's rule). Left-ventricular numbers belong
    to ``ed_phase`` and ``es_phase``, right-ventricular ones to the same phases.

    Attributes:
        lv_ml: LV volume of each phase.
        rv_ml: RV volume of each phase.
        myo_ml: volume of the LV's myocardium of each phase.
        ed_phase: phase of the largest LV volume, from 0.
        es_phase: phase of the smallest LV volume.
        phase_times_ms: time of each phase after the R wave.
        lv_edv_ml: and so on: end-diastolic, end-systolic and stroke volume, ejection fraction.
        lv_mass_g: myocardial volume at ED times 1.05 g/mL.
        heart_rate_bpm: beats a minute.
        lv_cardiac_output_l_min: stroke volume times heart rate.
        body_surface_area_m2: by Mosteller.
        lv_edv_index_ml_m2: and so on: by body surface area.
    """

    lv_ml: tuple[float, ...]
    rv_ml: tuple[float, ...]
    myo_ml: tuple[float, ...]
    ed_phase: int
    es_phase: int
    phase_times_ms: tuple[float, ...] | None
    lv_edv_ml: float
    lv_esv_ml: float | None
    lv_sv_ml: float | None
    lv_ef_percent: float | None
    lv_mass_g: float
    rv_edv_ml: float
    rv_esv_ml: float | None
    rv_sv_ml: float | None
    rv_ef_percent: float | None
    heart_rate_bpm: float | None = None
    lv_cardiac_output_l_min: float | None = None
    rv_cardiac_output_l_min: float | None = None
    height_cm: float | None = None
    weight_kg: float | None = None
    body_surface_area_m2: float | None = None
    lv_edv_index_ml_m2: float | None = None
    lv_esv_index_ml_m2: float | None = None
    lv_sv_index_ml_m2: float | None = None
    lv_mass_index_g_m2: float | None = None
    rv_edv_index_ml_m2: float | None = None
    rv_esv_index_ml_m2: float | None = None
    rv_sv_index_ml_m2: float | None = None
    lv_cardiac_index_l_min_m2: float | None = None

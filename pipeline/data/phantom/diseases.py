"""The five groups of patients of ACDC as distributions of hearts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.data.phantom.heart import ANGLES, LEVELS, Array, Heart, angle_to
from pipeline.errors import InputError


@dataclass(frozen=True)
class Disease:
    """What the hearts of one group share.

    Attributes:
        edv_ml: mean left ventricular volume at end-diastole.
        ef: mean left ventricular ejection fraction, 0 to 1.
        myo_ml: mean volume of the left ventricular myocardium.
        rv_edv_ml: mean right ventricular volume at end-diastole.
        rv_ef: mean right ventricular ejection fraction, 0 to 1.
        elongation: length of the left cavity over the cube root of its volume; round hearts have less.
        septal_thickening: extra thickness of the septum as a share of the wall's.
        septal_flattening: how far the septum is pressed into the left cavity as a share of its radius.
        scar: share of the motion that is lost in an infarcted sector, 0 for no scar.
    """

    edv_ml: float
    ef: float
    myo_ml: float
    rv_edv_ml: float
    rv_ef: float
    elongation: float = 1.70
    septal_thickening: float = 0.0
    septal_flattening: float = 0.0
    scar: float = 0.0


# Source: rounded means of each group, by the expert labels of ACDC's training set (Bernard et al., IEEE TMI 2018,
# https://doi.org/10.1109/TMI.2018.2837502); the wall patterns follow the group definitions of that paper.
DISEASES: dict[str, Disease] = {
    "NOR": Disease(edv_ml=140, ef=0.60, myo_ml=100, rv_edv_ml=150, rv_ef=0.56),
    "DCM": Disease(edv_ml=270, ef=0.20, myo_ml=160, rv_edv_ml=170, rv_ef=0.35, elongation=1.50),
    "HCM": Disease(edv_ml=120, ef=0.70, myo_ml=175, rv_edv_ml=125, rv_ef=0.60, septal_thickening=0.6),
    "MINF": Disease(edv_ml=170, ef=0.32, myo_ml=118, rv_edv_ml=125, rv_ef=0.54, elongation=1.62, scar=0.95),
    "RV": Disease(edv_ml=108, ef=0.55, myo_ml=78, rv_edv_ml=200, rv_ef=0.35, septal_flattening=0.16),
}

PHANTOM_GROUPS: tuple[str, ...] = tuple(DISEASES)
"""ACDC's groups: normal, dilated, hypertrophic, infarcted left ventricle, abnormal right ventricle."""

_EF_SPREAD = 0.04
_CORONARY_ANGLES = np.deg2rad([50.0, 185.0, 275.0])  # sectors of the LAD, circumflex and right coronary artery


def draw_heart(rng: np.random.Generator, group: str, es_phase: float) -> Heart:
    """Draw one patient of a group.

    Args:
        rng: source of the patient's variation.
        group: one of ``PHANTOM_GROUPS``.
        es_phase: phase of end-systole as a share of the beat, between 0 and 1.

    Returns:
        The heart.

    Raises:
        InputError: the group is unknown, or ``es_phase`` is not between 0.05 and 0.95.
    """
    if group not in DISEASES:
        raise InputError(f"group must be one of {', '.join(PHANTOM_GROUPS)}, got '{group}'.")
    if not 0.05 <= es_phase <= 0.95:
        raise InputError(f"es_phase is a share of the beat from 0.05 to 0.95, got {es_phase}.")
    disease = DISEASES[group]
    size = float(np.clip(np.exp(rng.normal(0, 0.12)), 0.8, 1.25))
    edv_ml = disease.edv_ml * size
    scar = disease.scar * _sector(rng)
    wider = (disease.rv_edv_ml / disease.edv_ml) ** 0.3 if disease.septal_flattening else 1.0
    return Heart(
        edv_ml=edv_ml,
        ef=disease.ef + _EF_SPREAD * rng.uniform(-1, 1),
        myo_ml=disease.myo_ml * size * rng.uniform(0.92, 1.08),
        rv_edv_ml=disease.rv_edv_ml * size * rng.uniform(0.9, 1.1),
        rv_ef=disease.rv_ef + _EF_SPREAD * rng.uniform(-1, 1),
        es_phase=es_phase,
        length_mm=disease.elongation * (1000 * edv_ml) ** (1 / 3) * rng.uniform(0.96, 1.04),
        outline=_outline(rng, disease.septal_flattening),
        wall=_wall(rng, disease.septal_thickening) * (1 - 0.5 * scar),
        motion=1 - scar,
        rv_length=rng.uniform(0.80, 0.90),
        rv_halfwidth=(wider * np.deg2rad(rng.uniform(72, 84)), wider * np.deg2rad(rng.uniform(62, 72))),
        papillary=(np.deg2rad(rng.uniform(125, 150)), np.deg2rad(rng.uniform(235, 260))),
    )


def _bump(angle: float, halfwidth: float) -> Array:
    """Return a smooth bump around an angle, 1 in its middle, 0 from ``halfwidth`` (radians) on."""
    return np.asarray(np.cos(np.clip(angle_to(angle) / halfwidth, -1, 1) * np.pi / 2) ** 2)


def _waves(rng: np.random.Generator, spreads: dict[int, float]) -> Array:
    """Return random waves around the axis; ``spreads`` has the size of each number of periods."""
    waves = [rng.normal(0, spread) * np.cos(k * ANGLES + rng.uniform(0, 2 * np.pi)) for k, spread in spreads.items()]
    return np.sum(waves, axis=0)


def _outline(rng: np.random.Generator, flattening: float) -> Array:
    """Return the cavity's radius by angle, mean about 1: an irregular circle, with a flattened septum if asked."""
    return np.asarray(1 + _waves(rng, {2: 0.02, 3: 0.012}) - flattening * _bump(0.0, np.deg2rad(75)))


def _wall(rng: np.random.Generator, septal_thickening: float) -> Array:
    """Return the wall's relative thickness by level and angle: thinner to the apex, uneven, a thick septum if asked."""
    septum = septal_thickening * _bump(rng.uniform(0.0, 0.5), np.deg2rad(100))
    toward_apex = 1.08 - 0.16 * LEVELS[:, None]
    return np.asarray(toward_apex * (1 + _waves(rng, {1: 0.05, 3: 0.03}) + septum))


def _sector(rng: np.random.Generator) -> Array:
    """Return the share of the wall's damage by level and angle: one coronary artery's sector, base spared."""
    angle = rng.choice(_CORONARY_ANGLES) + rng.normal(0, 0.15)
    depth = np.clip((LEVELS - rng.uniform(0.1, 0.25)) / 0.2, 0, 1)[:, None]
    plateau = np.clip(1.8 * _bump(angle, np.deg2rad(rng.uniform(65, 80))), 0, 1)
    return np.asarray(depth * plateau)

"""What healthy adults have: reference ranges to print beside a study's numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Sex = Literal["female", "male"]

SOURCE = (
    "Zhan et al., Meta-Analysis of Normal Reference Values for Right and Left Ventricular Quantification by "
    "Cardiovascular Magnetic Resonance, Circ Cardiovasc Imaging 17:e016090, 2024 "
    "(healthy adults, short-axis SSFP, papillary muscles and trabeculations counted as LV volume)"
)
"""As here: the experts of ACDC, and so the model, draw papillary muscles and trabeculations as LV cavity. Ranges of the
other convention (counted as mass) have smaller volumes, a larger mass and a larger ejection fraction."""


@dataclass(frozen=True)
class NormalRange:
    """The range of one number in healthy adults of one sex.

    Attributes:
        name: attribute of ``CardiacFunction``.
        sex: whose range it is.
        lower: lower reference limit, in the unit that ``name`` ends on.
        upper: upper reference limit.
        source: the publication.
    """

    name: str
    sex: Sex
    lower: float
    upper: float
    source: str = SOURCE

    def holds(self, value: float) -> bool:
        """Tell whether a value lies within the limits, the limits included."""
        return self.lower <= value <= self.upper


# The ranges that the publication's abstract gives. Men's LVEF was checked against the abstract itself, the others
# against public reproductions of it: have them read once more in the paper. Its indexed RV volumes, and ranges of
# stroke volumes and of volumes that are not indexed, could not be checked and are left out.
_LIMITS: dict[str, dict[Sex, tuple[float, float]]] = {
    "lv_ef_percent": {"female": (54.0, 75.0), "male": (52.0, 73.0)},
    "lv_edv_index_ml_m2": {"female": (56.0, 96.0), "male": (60.0, 109.0)},
    "lv_esv_index_ml_m2": {"female": (16.0, 38.0), "male": (18.0, 45.0)},
    "lv_mass_index_g_m2": {"female": (33.0, 57.0), "male": (41.0, 76.0)},
    "rv_ef_percent": {"female": (49.0, 71.0), "male": (47.0, 68.0)},
}

NORMAL_RANGES: tuple[NormalRange, ...] = tuple(
    NormalRange(name, sex, lower, upper) for name, by_sex in _LIMITS.items() for sex, (lower, upper) in by_sex.items()
)

# DICOM's Patient's Sex (0010,0040) is M, F or O (other)
_SEXES: dict[str, Sex] = {"f": "female", "female": "female", "m": "male", "male": "male"}


def normal_ranges(name: str, sex: str | None = None) -> tuple[NormalRange, ...]:
    """Return the ranges of one number to print beside it.

    Args:
        name: attribute of ``CardiacFunction``, such as ``"lv_ef_percent"``.
        sex: ``"female"`` or ``"male"``, or DICOM's ``"F"`` or ``"M"``, in any case. If None or anything else, such as
            DICOM's ``"O"``, the sex counts as unknown.

    Returns:
        The range of that sex; both where the sex is unknown, women first; none where no source is known for ``name``.
    """
    known = _SEXES.get((sex or "").strip().lower())
    return tuple(found for found in NORMAL_RANGES if found.name == name and known in (None, found.sex))

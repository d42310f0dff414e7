"""The clinical numbers of a study as rows of a table, beside what healthy adults have."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from pipeline.metrics.function import CardiacFunction
from pipeline.metrics.normal_ranges import SOURCE, NormalRange, normal_ranges


@dataclass(frozen=True)
class _Measure:
    """One row: attribute of ``CardiacFunction``, that of the indexed number (or empty), names, units, digits."""

    attribute: str
    index: str
    short: str
    long: str
    unit: str
    index_unit: str = "mL/m²"
    digits: int = 0
    index_digits: int = 0


@dataclass(frozen=True)
class NumberRow:
    """A row as the template draws it; None where a number is not known.

    Attributes:
        short: ``"EDV"``.
        long: ``"end-diastolic volume"``.
        value: with its digits.
        unit: of ``value``.
        index: the number by body surface.
        index_unit: of ``index``; empty where there is no such number.
        normal: normal range with its unit, women before men where the sex is unknown.
        outside: ``"below"`` or ``"above"`` the normal range (of both sexes where it is unknown), else empty.
    """

    short: str
    long: str
    value: str | None
    unit: str
    index: str | None
    index_unit: str
    normal: tuple[str, ...]
    outside: str


@dataclass(frozen=True)
class NumberTable:
    """The rows of one ventricle."""

    name: str
    rows: tuple[NumberRow, ...]


_EF = ("EF", "ejection fraction", "%")
_EDV = ("EDV", "end-diastolic volume", "mL")
_ESV = ("ESV", "end-systolic volume", "mL")
_SV = ("SV", "stroke volume", "mL")
_CO = ("CO", "cardiac output", "L/min", "L/min/m²", 1, 1)

_MEASURES: dict[str, tuple[_Measure, ...]] = {
    "Left ventricle": (
        _Measure("lv_ef_percent", "", *_EF),
        _Measure("lv_edv_ml", "lv_edv_index_ml_m2", *_EDV),
        _Measure("lv_esv_ml", "lv_esv_index_ml_m2", *_ESV),
        _Measure("lv_sv_ml", "lv_sv_index_ml_m2", *_SV),
        _Measure("lv_mass_g", "lv_mass_index_g_m2", "Mass", "of the LV myocardium", "g", "g/m²"),
        _Measure("lv_cardiac_output_l_min", "lv_cardiac_index_l_min_m2", *_CO),
    ),
    "Right ventricle": (
        _Measure("rv_ef_percent", "", *_EF),
        _Measure("rv_edv_ml", "rv_edv_index_ml_m2", *_EDV),
        _Measure("rv_esv_ml", "rv_esv_index_ml_m2", *_ESV),
        _Measure("rv_sv_ml", "rv_sv_index_ml_m2", *_SV),
        _Measure("rv_cardiac_output_l_min", "", *_CO),
    ),
}


CURVES = ("lv_ml", "rv_ml", "myo_ml", "phase_times_ms")
"""Attributes of ``CardiacFunction`` with a value a phase."""

# attribute, name and ventricle of the volumes that a scan of one phase has
_ONE_PHASE = (
    ("lv_ml", "LV volume", "Left ventricle"),
    ("myo_ml", "Myocardium", "Left ventricle"),
    ("rv_ml", "RV volume", "Right ventricle"),
)
_OF_ANY_PHASE = ("heart_rate_bpm", "height_cm", "weight_kg", "body_surface_area_m2")


def has_one_phase(function: CardiacFunction) -> bool:
    """Tell whether the scan is a single phase, of which nobody knows which one of the beat it is."""
    return len(function.lv_ml) == 1


def known_numbers(function: CardiacFunction) -> dict[str, Any]:
    """Return the numbers of a study that its scan can tell, by attribute of ``CardiacFunction``.

    Of one phase it is not known whether it is end-diastole: nothing that is named after a phase is known then, and its
    three volumes stand alone.

    Args:
        function: of the study.

    Returns:
        All attributes that have one value, None where it is not known. Of a single phase also ``lv_ml``, ``rv_ml`` and
        ``myo_ml``, which are None of several.
    """
    one = has_one_phase(function)
    numbers: dict[str, Any] = {
        item.name: None if one and item.name not in _OF_ANY_PHASE else getattr(function, item.name)
        for item in fields(function)
        if item.name not in CURVES
    }
    return numbers | {name: getattr(function, name)[0] if one else None for name, _, _ in _ONE_PHASE}


def number_tables(function: CardiacFunction, sex: str | None = None) -> tuple[NumberTable, ...]:
    """Lay out the numbers of both ventricles; of a single phase its volumes, without normal ranges.

    Args:
        function: of the study.
        sex: of the patient as ``normal_ranges`` takes it; None where unknown.

    Returns:
        One table a ventricle.
    """
    if has_one_phase(function):
        return tuple(NumberTable(name, _one_phase_rows(function, name)) for name in _MEASURES)
    return tuple(
        NumberTable(name, tuple(_row(function, measure, sex) for measure in measures))
        for name, measures in _MEASURES.items()
    )


def number_notes(function: CardiacFunction, sex: str | None = None) -> tuple[str, ...]:
    """Return the sentences below the tables: whose ranges these are, what is missing and why.

    Args:
        function: of the study.
        sex: of the patient, None where unknown.
    """
    if has_one_phase(function):
        return (
            "The scan has one phase. Whether it is end-diastole is not known: there is no end-diastolic volume, no "
            "ejection fraction, and nothing that normal ranges hold for.",
        )
    known = bool(sex) and len(normal_ranges("lv_ef_percent", sex)) == 1
    notes = [f"Normal: 95 % of healthy adults{'' if known else ', women and men, as the sex is not known'}. {SOURCE}."]
    if function.body_surface_area_m2 is None:
        notes.append("Indexed: by body surface; not here, as height and weight are not known.")
    else:
        surface = f"{function.body_surface_area_m2:.2f} m² by Mosteller"
        notes.append(
            f"Indexed: by body surface, {surface} from {function.height_cm:.0f} cm, {function.weight_kg:.0f} kg."
        )
    if function.heart_rate_bpm is None:
        notes.append("The heart rate is not known, so there is no cardiac output.")
    else:
        notes.append(f"Heart rate {function.heart_rate_bpm:.0f} beats a minute.")
    return tuple(notes)


def _one_phase_rows(function: CardiacFunction, ventricle: str) -> tuple[NumberRow, ...]:
    return tuple(
        NumberRow(short, "phase not known", _format(getattr(function, name)[0], 0), "mL", None, "", (), "")
        for name, short, of in _ONE_PHASE
        if of == ventricle
    )


def _row(function: CardiacFunction, measure: _Measure, sex: str | None) -> NumberRow:
    value = getattr(function, measure.attribute)
    index = getattr(function, measure.index) if measure.index else None
    ranges, judged, unit, digits = normal_ranges(measure.attribute, sex), value, measure.unit, measure.digits
    if not ranges and measure.index:
        ranges, judged, unit, digits = (
            normal_ranges(measure.index, sex),
            index,
            measure.index_unit,
            measure.index_digits,
        )
    return NumberRow(
        short=measure.short,
        long=measure.long,
        value=_format(value, measure.digits),
        unit=measure.unit,
        index=_format(index, measure.index_digits),
        index_unit=measure.index_unit if measure.index else "",
        normal=tuple(_range_text(found, unit, digits) for found in ranges),
        outside=_outside(judged, ranges),
    )


def _range_text(found: NormalRange, unit: str, digits: int) -> str:
    whose = {"female": "women", "male": "men"}[found.sex]
    return f"{whose} {found.lower:.{digits}f}\N{EN DASH}{found.upper:.{digits}f} {unit}"


def _outside(value: float | None, ranges: tuple[NormalRange, ...]) -> str:
    if value is None or not ranges:
        return ""
    if value < min(found.lower for found in ranges):
        return "below"
    return "above" if value > max(found.upper for found in ranges) else ""


def _format(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"

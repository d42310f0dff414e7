"""From single cases to studies of a patient, and how well their numbers agree with the experts'."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipeline.labels import Structure
from pipeline.metrics.agreement import Agreement, bland_altman
from pipeline.metrics.function import MYOCARDIAL_DENSITY_G_ML

QUANTITIES: tuple[str, ...] = (
    "lv_edv_ml",
    "lv_esv_ml",
    "lv_sv_ml",
    "lv_ef_percent",
    "lv_mass_g",
    "rv_edv_ml",
    "rv_esv_ml",
    "rv_sv_ml",
    "rv_ef_percent",
)
"""Numbers of a study that are compared with those of its labels, named as in ``CardiacFunction``."""

REFERENCE_PREFIX = "label_"
"""Before the name of a number that comes from the labels."""

LOGGED_FIGURES: tuple[str, ...] = ("bias", "sd", "mean_absolute_error", "pearson_r", "n")
"""Figures of an agreement that go to a log; all of them are in ``summary.json``."""

RULES = (
    "A study is the ED and the ES case of one patient. Differences are measured minus reference; 95 % limits of "
    "agreement are bias plus and minus 1.96 sd. A structure that the prediction lacks has a volume of 0 mL, so that "
    "its error counts; one that the label lacks was not drawn and has no reference value. A study without a value on "
    "either side counts as missing in that quantity."
)

Row = Mapping[str, Any]


def pair_studies(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Join the ED and ES cases of an evaluation to studies, with the numbers of prediction and label.

    Two cases belong together where their ``case_id`` is the same but for an ending ``_ed`` and ``_es``, else where
    their ``patient_id`` is: a patient may have several studies.

    Args:
        rows: a case each, with ``case_id``, ``patient_id``, ``phase``, ``group`` and the volumes of ``measure_case``.

    Returns:
        A study each, sorted by ``study_id``: ``study_id``, ``patient_id``, ``group``, then ``QUANTITIES`` of the
        prediction and, under ``label_*``, of the label; None where a number cannot be known. Cases of other phases,
        cases without a partner and cases that share their phase with another one of their study are left out.
    """
    studies: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        if row.get("phase") in ("ed", "es"):
            studies.setdefault(_study_id(row), {"ed": [], "es": []})[row["phase"]].append(row)
    return [
        _study(study_id, cases["ed"][0], cases["es"][0])
        for study_id, cases in sorted(studies.items())
        if len(cases["ed"]) == len(cases["es"]) == 1
    ]


def summarize_studies(studies: Sequence[Row]) -> dict[str, Any]:
    """Compare the numbers of studies with those of their labels.

    Args:
        studies: what ``pair_studies`` returns.

    Returns:
        Values that JSON can hold, ``{"num_studies": 20, "quantities": {"lv_ef_percent": {…}, …}, "rules": "…"}``: the
        attributes of ``Agreement`` by quantity. Empty where no study has a value on both sides.
    """
    agreements = {name: compare(studies, name) for name in QUANTITIES}
    if not any(agreement.n for agreement in agreements.values()):
        return {}
    figures = {name: asdict(agreement) for name, agreement in agreements.items()}
    return {"num_studies": len(studies), "quantities": figures, "rules": RULES}


def compare(studies: Sequence[Row], name: str) -> Agreement:
    """Return the agreement of one of the ``QUANTITIES`` over studies."""
    measured = [study[name] for study in studies]
    return bland_altman(measured, [study[f"{REFERENCE_PREFIX}{name}"] for study in studies])


def agreement_scalars(section: Mapping[str, Any]) -> dict[str, float]:
    """Flatten what ``summarize_studies`` returns: ``agreement.lv_ef_percent.bias`` and so on.

    Figures that are not known are left out, and so are quantities that no study has.
    """
    return {
        f"agreement.{name}.{figure}": float(figures[figure])
        for name, figures in section.get("quantities", {}).items()
        for figure in LOGGED_FIGURES
        if figures["n"] and figures[figure] is not None
    }


def _study_id(row: Row) -> str:
    case_id, ending = str(row["case_id"]), f"_{row['phase']}"
    return case_id.removesuffix(ending) if case_id.endswith(ending) else str(row.get("patient_id") or case_id)


def _study(study_id: str, ed: Row, es: Row) -> dict[str, Any]:
    measured = _numbers(ed, es, "volume_ml", drawn_by_expert=False)
    reference = _numbers(ed, es, "label_volume_ml", drawn_by_expert=True)
    identity = {"study_id": study_id, "patient_id": ed.get("patient_id", ""), "group": ed.get("group", "")}
    return identity | measured | {f"{REFERENCE_PREFIX}{name}": value for name, value in reference.items()}


def _numbers(ed: Row, es: Row, column: str, drawn_by_expert: bool) -> dict[str, float | None]:
    def volume(row: Row, structure: Structure) -> float | None:
        ml = float(row.get(f"{column}_{structure.key}", math.nan))
        return None if math.isnan(ml) or (drawn_by_expert and ml == 0) else ml

    numbers: dict[str, float | None] = {}
    for structure in (Structure.LV, Structure.RV):
        edv, esv = volume(ed, structure), volume(es, structure)
        sv = None if edv is None or esv is None else edv - esv
        numbers[f"{structure.key}_edv_ml"] = edv
        numbers[f"{structure.key}_esv_ml"] = esv
        numbers[f"{structure.key}_sv_ml"] = sv
        numbers[f"{structure.key}_ef_percent"] = 100.0 * sv / edv if sv is not None and edv else None
    muscle = volume(ed, Structure.MYO)
    numbers["lv_mass_g"] = None if muscle is None else muscle * MYOCARDIAL_DENSITY_G_ML
    return {name: numbers[name] for name in QUANTITIES}

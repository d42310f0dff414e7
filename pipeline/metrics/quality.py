"""Signs that a segmentation should be looked at before its numbers are used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QualityFlag:
    """One reason to look at a study.

    Attributes:
        code: short name, stable over versions, such as ``"lv_in_pieces"``.
        message: a sentence for the reader of the report, with the figures.
        phase: phase that it was seen in, from 0; None where it belongs to the study.
    """

    code: str
    message: str
    phase: int | None = None

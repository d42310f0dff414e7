"""What a study leaves beside its mask: numbers, DICOM objects, report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import __version__
from pipeline.data.dicom.cine import Repair
from pipeline.errors import InputError
from pipeline.files import atomic_path
from pipeline.flags import as_flag
from pipeline.inference.source import ScanSource
from pipeline.metrics.function import CardiacFunction, cardiac_function
from pipeline.metrics.quality import QualityFlag, quality_flags

ALGORITHM_NAME = "cardiac_sax_segmentation"


class SegPhases(str, Enum):
    """Which phases a DICOM SEG holds."""

    NONE = "none"
    ED_ES = "ed_es"
    ALL = "all"


class ReportChoice(str, Enum):
    """Which scans get a report."""

    NEVER = "false"
    CINES = "auto"
    ALWAYS = "true"


@dataclass(frozen=True)
class StudyOptions:
    """What is written beside the masks.

    Attributes:
        report: ``auto`` (scans of several phases), ``true`` or ``false``: an HTML report a scan, and one of the cohort.
        dicom_seg: phases in the DICOM SEG of a DICOM study: ``ed_es``, ``all`` or ``none``.
        dicom_sr: whether a DICOM study gets a structured report with the measurements.
        with_identifiers: whether patient name, ID and dates may stand in reports and DICOM objects.
        series: Series Instance UID or number that overrules the reader's choice.
        provenance: lines on how the masks were made, by name; printed in the reports.
    """

    report: ReportChoice = ReportChoice.NEVER
    dicom_seg: SegPhases = SegPhases.ED_ES
    dicom_sr: bool = True
    with_identifiers: bool = False
    series: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)


def study_options(
    report: bool | str = "auto",
    dicom_seg: str = "ed_es",
    dicom_sr: bool | str = True,
    with_identifiers: bool | str = False,
    series: str | int = "",
) -> StudyOptions:
    """Read :class:`StudyOptions` as a configuration or a command line gives them.

    Raises:
        InputError: a setting is none of those allowed.
    """
    return StudyOptions(
        report=_choice("report", ReportChoice, report),
        dicom_seg=_choice("dicom_seg", SegPhases, dicom_seg),
        dicom_sr=as_flag("dicom_sr", dicom_sr),
        with_identifiers=as_flag("with_identifiers", with_identifiers),
        series=str(series),
    )


def _choice(name: str, kind: Any, value: Any) -> Any:
    text = str(value).lower()
    allowed = [choice.value for choice in kind]
    if text not in allowed:
        raise InputError(f"{name} must be one of {', '.join(allowed)}, got {value!r}.")
    return kind(text)


@dataclass(frozen=True)
class StudyResult:
    """The numbers of one scan, and the files beside its mask.

    Attributes:
        function: its clinical numbers.
        flags: reasons to look at it.
        repairs: what was wrong with its files and was mended.
        files: paths below the output folder, by kind: ``measurements``, ``dicom_seg``, ``dicom_sr``, ``report``.
    """

    function: CardiacFunction
    flags: tuple[QualityFlag, ...] = ()
    repairs: tuple[Repair, ...] = ()
    files: dict[str, str] = field(default_factory=dict)


class StudyWriter:
    """Measures a segmented scan and writes what belongs to it below the output folder.

    Args:
        output_dir: folder of the masks.
        options: what is written.
    """

    def __init__(self, output_dir: str | Path, options: StudyOptions) -> None:
        self.output_dir = Path(output_dir)
        self.options = options

    def __call__(self, case_id: str, source: ScanSource, mask: NDArray[Any]) -> StudyResult:
        """Measure and write one scan.

        Args:
            case_id: name of the scan; folders in it become folders.
            source: the scan.
            mask: ``(X, Y, Z, T)`` in project labels, on the scan's grid.

        Returns:
            Its numbers and files.
        """
        report = self._wants_report(mask)
        voxels = source.voxels() if report else None
        function = self._measure(source, mask)
        flags = quality_flags(mask, source.affine, function, image=voxels)
        repairs = source.stack.repairs if source.stack is not None else ()
        study = StudyResult(function, tuple(flags), repairs)
        files = {"measurements": self._write_json(case_id, source, study)}
        files |= self._write_dicom(case_id, source, mask, study)
        if voxels is not None:
            files["report"] = self._write_report(case_id, source, voxels, mask, study)
        listed = {kind: path.relative_to(self.output_dir).as_posix() for kind, path in files.items()}
        return StudyResult(function, study.flags, repairs, listed)

    def _wants_report(self, mask: NDArray[Any]) -> bool:
        choice = self.options.report
        return choice is ReportChoice.ALWAYS or (choice is ReportChoice.CINES and mask.shape[3] > 1)

    def _measure(self, source: ScanSource, mask: NDArray[Any]) -> CardiacFunction:
        stack = source.stack
        known = {}
        if stack is not None:
            known = {
                "heart_rate_bpm": stack.heart_rate_bpm,
                "height_cm": stack.height_cm,
                "weight_kg": stack.weight_kg,
            }
        return cardiac_function(mask, source.affine, phase_times_ms=source.phase_times_ms, **known)

    def _path(self, folder: str, case_id: str, ending: str) -> Path:
        path = self.output_dir / folder / case_id
        return path.with_name(path.name + ending)

    def _write_json(self, case_id: str, source: ScanSource, study: StudyResult) -> Path:
        path = self._path("measurements", case_id, ".json")
        content = {
            "case_id": case_id,
            "function": asdict(study.function),
            "flags": [asdict(flag) for flag in study.flags],
            "repairs": [asdict(repair) for repair in study.repairs],
            "series_choice": source.stack.reason if source.stack is not None else "",
            "software": f"{ALGORITHM_NAME} {__version__}",
            "provenance": dict(self.options.provenance),
        }
        with atomic_path(path) as partial:
            partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8", newline="\n")
        return path

    def _write_dicom(
        self, case_id: str, source: ScanSource, mask: NDArray[Any], study: StudyResult
    ) -> dict[str, Path]:
        stack, options = source.stack, self.options
        if stack is None:
            return {}
        shared: dict[str, Any] = {
            "algorithm_name": ALGORITHM_NAME,
            "algorithm_version": __version__,
            "with_identifiers": options.with_identifiers,
        }
        files: dict[str, Path] = {}
        # highdicom takes its time to import, and only DICOM needs it
        if options.dicom_seg is not SegPhases.NONE and mask.any():
            from pipeline.inference.dicom_seg import write_dicom_seg

            phases = None if options.dicom_seg is SegPhases.ALL else _ed_es(study.function)
            path = self._path("dicom", case_id, "_seg.dcm")
            files["dicom_seg"] = write_dicom_seg(path, mask, stack, phases, **shared)
        if options.dicom_sr:
            from pipeline.reporting.dicom_sr import write_structured_report

            path = self._path("dicom", case_id, "_sr.dcm")
            files["dicom_sr"] = write_structured_report(
                path, study.function, stack, study.flags, seg_path=files.get("dicom_seg"), **shared
            )
        return files

    def _write_report(
        self, case_id: str, source: ScanSource, voxels: NDArray[Any], mask: NDArray[Any], study: StudyResult
    ) -> Path:
        from pipeline.reporting.study_report import write_study_report

        return write_study_report(
            self._path("reports", case_id, ".html"),
            title=case_id,
            image=voxels,
            mask=mask,
            affine=source.affine,
            function=study.function,
            flags=study.flags,
            repairs=study.repairs,
            provenance={"software": f"{ALGORITHM_NAME} {__version__}", **self.options.provenance},
        )


def _ed_es(function: CardiacFunction) -> Sequence[int]:
    return sorted({function.ed_phase, function.es_phase})


def volumes_ml(function: CardiacFunction) -> list[dict[str, float]]:
    """Return the volume of each structure, an entry a phase."""
    curves = {"rv": function.rv_ml, "myo": function.myo_ml, "lv": function.lv_ml}
    return [
        {key: round(float(curve[phase]), 3) for key, curve in curves.items()} for phase in range(len(function.lv_ml))
    ]


def extreme_phases(function: CardiacFunction) -> list[int]:
    """Return the phases of the largest and the smallest LV, in order; one where they are the same."""
    return sorted({int(np.argmax(function.lv_ml)), int(np.argmin(function.lv_ml))})

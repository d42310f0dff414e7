"""What a study leaves beside its mask: numbers, DICOM objects, report."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from pipeline import __version__
from pipeline.data.dicom.cine import CineStack, Repair
from pipeline.data.dicom.rules import plural
from pipeline.errors import InputError
from pipeline.files import atomic_path
from pipeline.flags import as_flag
from pipeline.inference.source import ScanSource
from pipeline.labels import FURTHER, label_key
from pipeline.metrics import function as volumetry
from pipeline.metrics.function import CardiacFunction, cardiac_function
from pipeline.metrics.quality import QualityFlag, quality_flags
from pipeline.reporting.numbers_table import CURVES, has_one_phase, known_numbers

if TYPE_CHECKING:
    from pipeline.reporting.montage import Panel

ALGORITHM_NAME = "cardiac_sax_segmentation"

_NO_REPORT_OF_ONE_PHASE = Repair(
    "one phase, of which it is not known whether it is end-diastole",
    "no structured report: its measurements are named after phases",
)


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
        picture: its middle slice at ED, for the cohort's report; None without reports.
        expected_mean_dice: of each phase, what its mask expects of itself (``transforms.ExpectedDice``); may be empty.
        further_ml: volume of each phase of the further labels that the mask has, by ``labels.label_key``.
    """

    function: CardiacFunction
    flags: tuple[QualityFlag, ...] = ()
    repairs: tuple[Repair, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    picture: Panel | None = None
    expected_mean_dice: tuple[float, ...] = ()
    further_ml: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the picture as plain values; phases count from 0.

        Of a scan of one phase the numbers that are named after a phase are None: it may be any.
        """
        known = {name: value for name, value in known_numbers(self.function).items() if name not in CURVES}
        return {
            "function": asdict(self.function) | known,
            "flags": [asdict(flag) for flag in self.flags],
            "repairs": [asdict(repair) for repair in self.repairs],
            "expected_mean_dice": [round(value, 4) for value in self.expected_mean_dice],
            **({"further_ml": {key: list(curve) for key, curve in self.further_ml.items()}} if self.further_ml else {}),
            "files": dict(self.files),
        }


class StudyWriter:
    """Measures a segmented scan and writes what belongs to it below the output folder.

    Args:
        output_dir: folder of the masks.
        options: what is written.
        publish: takes the text of each report without the scan's name, for MLflow. Names of files and folders may be
            names of patients: they stay in ``output_dir``.
    """

    def __init__(
        self, output_dir: str | Path, options: StudyOptions, publish: Callable[[str, str], None] | None = None
    ) -> None:
        self.output_dir = Path(output_dir)
        self.options = options
        self.publish = publish

    def __call__(
        self,
        case_id: str,
        number: int,
        source: ScanSource,
        mask: NDArray[Any],
        expected: Sequence[float] = (),
        noticed: Sequence[QualityFlag] = (),
    ) -> StudyResult:
        """Measure and write one scan.

        Args:
            case_id: name of the scan; folders in it become folders.
            number: of the scan in the cohort, from 1.
            source: the scan.
            mask: ``(X, Y, Z, T)`` in project labels, on the scan's grid.
            expected: mean Dice that the mask of each phase expects of itself.
            noticed: what was seen of the scan when it was predicted; follows the flags of the mask.

        Returns:
            Its numbers and files.
        """
        report = self._wants_report(mask)
        voxels = source.voxels() if report else None
        function = self._measure(source, mask)
        flags = quality_flags(mask, source.affine, function, image=voxels)
        further = further_volumes_ml(mask, source)
        repairs, refused = self._repairs(source.stack, further)
        study = StudyResult(
            function, (*flags, *noticed), repairs, expected_mean_dice=tuple(expected), further_ml=further
        )
        files = {"measurements": self._write_json(case_id, source, study)}
        if not refused:
            structures = np.where(mask < FURTHER.start, mask, 0) if further else mask
            files |= self._write_dicom(case_id, source, structures, study)
        picture = None
        if voxels is not None:
            files["report"] = self._write_report(case_id, number, source, voxels, mask, study)
            picture = _picture(source, voxels, mask, function)
        listed = {kind: path.relative_to(self.output_dir).as_posix() for kind, path in files.items()}
        return replace(study, files=listed, picture=picture)

    def _repairs(self, stack: CineStack | None, further: Collection[str]) -> tuple[tuple[Repair, ...], bool]:
        """Return what was wrong with a scan, and whether that forbids DICOM objects."""
        if stack is None:
            return (), False
        wanted = self.options.dicom_sr or self.options.dicom_seg is not SegPhases.NONE
        shared = shared_uids(stack) if wanted else None
        if shared is not None:
            return (*stack.repairs, shared), True
        left_out = (_without_further(further),) if wanted and further else ()
        if self.options.dicom_sr and stack.shape[3] == 1:
            return (*stack.repairs, *left_out, _NO_REPORT_OF_ONE_PHASE), False
        return (*stack.repairs, *left_out), False

    def _wants_report(self, mask: NDArray[Any]) -> bool:
        choice = self.options.report
        return choice is ReportChoice.ALWAYS or (choice is ReportChoice.CINES and mask.shape[3] > 1)

    def _measure(self, source: ScanSource, mask: NDArray[Any]) -> CardiacFunction:
        stack = source.stack
        if stack is None:
            return cardiac_function(mask, source.affine, phase_times_ms=source.phase_times_ms)
        return cardiac_function(
            mask,
            source.affine,
            slice_positions_mm=stack.slice_positions_mm or None,
            phase_times_ms=stack.phase_times_ms,
            heart_rate_bpm=stack.heart_rate_bpm,
            height_cm=stack.height_cm,
            weight_kg=stack.weight_kg,
        )

    def _path(self, folder: str, case_id: str, ending: str) -> Path:
        path = self.output_dir / folder / case_id
        return path.with_name(path.name + ending)

    def _write_json(self, case_id: str, source: ScanSource, study: StudyResult) -> Path:
        path = self._path("measurements", case_id, ".json")
        content = {
            "case_id": case_id,
            **{key: value for key, value in study.as_dict().items() if key != "files"},
            "series_choice": source.stack.reason if source.stack is not None else "",
            "software": f"{ALGORITHM_NAME} {__version__}",
            "provenance": dict(self.options.provenance),
        }
        with atomic_path(path) as partial:
            partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8", newline="\n")
        return path

    def _write_dicom(self, case_id: str, source: ScanSource, mask: NDArray[Any], study: StudyResult) -> dict[str, Path]:
        stack, options = source.stack, self.options
        if stack is None:
            return {}
        shared: dict[str, Any] = {
            "algorithm_name": ALGORITHM_NAME,
            "algorithm_version": __version__,
            "with_identifiers": options.with_identifiers,
        }
        files: dict[str, Path] = {}
        one = has_one_phase(study.function)
        # highdicom takes its time to import, and only DICOM needs it
        if options.dicom_seg is not SegPhases.NONE and mask.any():
            from pipeline.dicom_objects.seg import write_dicom_seg

            phases = None if options.dicom_seg is SegPhases.ALL else _ed_es(study.function)
            path = self._path("dicom", case_id, "_seg.dcm")
            names = {} if one else {study.function.es_phase: "ES", study.function.ed_phase: "ED"}
            files["dicom_seg"] = write_dicom_seg(path, mask, stack, phases, phase_names=names, **shared)
        # its measurements are named after phases
        if options.dicom_sr and not one:
            from pipeline.dicom_objects.sr import write_structured_report

            path = self._path("dicom", case_id, "_sr.dcm")
            files["dicom_sr"] = write_structured_report(
                path, study.function, stack, study.flags, seg_path=files.get("dicom_seg"), **shared
            )
        return files

    def _write_report(
        self,
        case_id: str,
        number: int,
        source: ScanSource,
        voxels: NDArray[Any],
        mask: NDArray[Any],
        study: StudyResult,
    ) -> Path:
        from pipeline.reporting.page import replace_text
        from pipeline.reporting.study_report import write_study_report

        # the same page under two names: the scan's in output_dir, its number on the server
        placeholder = uuid4().hex
        path = write_study_report(
            self._path("reports", case_id, ".html"),
            title=placeholder,
            image=voxels,
            mask=mask,
            affine=source.affine,
            function=study.function,
            flags=study.flags,
            repairs=study.repairs,
            provenance={"software": f"{ALGORITHM_NAME} {__version__}", **self.options.provenance},
            identifiers=identifiers(source.stack) if self.options.with_identifiers and source.stack else None,
        )
        page = path.read_text(encoding="utf-8")
        if self.publish is not None and not self.options.with_identifiers:
            self.publish(published_name(number), replace_text(page, placeholder, scan_title(number)))
        with atomic_path(path) as partial:
            partial.write_text(replace_text(page, placeholder, case_id), encoding="utf-8", newline="\n")
        return path


def scan_title(number: int) -> str:
    """Return how a scan is called where its name must not be: by its number in the cohort."""
    return f"Scan {number:03d}"


def published_name(number: int) -> str:
    """Return the file of a scan's report among the artifacts of an MLflow run."""
    return f"reports/scan_{number:03d}.html"


def identifiers(stack: CineStack) -> dict[str, str]:
    """Return what names the patient and the study, for a report that was asked to.

    Args:
        stack: whose first image is read.

    Returns:
        DICOM keyword to its text; without those that the image does not have.
    """
    from pydicom import dcmread

    keywords = ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber")
    header = dcmread(stack.frames[0][0].path, specific_tags=list(keywords), stop_before_pixels=True)
    return {keyword: str(header[keyword].value) for keyword in keywords if header.get(keyword)}


def shared_uids(stack: CineStack) -> Repair | None:
    """Return what keeps DICOM objects from naming the images of a stack: several with the same UID.

    Args:
        stack: as read.

    Returns:
        None where each image can be told from the others.
    """
    frames = {frame for of_slice in stack.frames for frame in of_slice}
    names = {(frame.sop_instance_uid, frame.frame_number) for frame in frames}
    if len(names) == len(frames):
        return None
    return Repair(
        f"{len(frames)} images share {plural(len(names), 'SOP Instance UID')}",
        "no DICOM SEG and no structured report: they could not say which image they belong to",
    )


def _without_further(keys: Collection[str]) -> Repair:
    return Repair(
        f"the mask has labels that DICOM objects have no code for ({', '.join(keys)})",
        "left out of them; they are in the mask and segmentation.csv",
    )


def _picture(source: ScanSource, voxels: NDArray[Any], mask: NDArray[Any], function: CardiacFunction) -> Panel:
    from pipeline.reporting.montage import thumbnail

    return thumbnail(voxels[..., function.ed_phase], mask[..., function.ed_phase], source.affine)


def _ed_es(function: CardiacFunction) -> Sequence[int]:
    return sorted({function.ed_phase, function.es_phase})


def further_volumes_ml(mask: NDArray[Any], source: ScanSource) -> dict[str, tuple[float, ...]]:
    """Return the volume in mL of each phase of the labels that a mask has beside the structures, by ``label_key``.

    Args:
        mask: ``(X, Y, Z, T)`` in project labels.
        source: its scan.
    """
    if mask.max() < FURTHER.start:
        return {}
    positions = source.stack.slice_positions_mm or None if source.stack is not None else None
    volumes = volumetry.volumes_ml(mask, source.affine, positions)
    return {label_key(label): tuple(map(float, curve)) for label, curve in volumes.items() if label in FURTHER}


def volumes_ml(
    function: CardiacFunction, further: Mapping[str, Sequence[float]] | None = None
) -> list[dict[str, float]]:
    """Return the volume of each structure, and of ``further`` labels, an entry a phase."""
    curves = {"rv": function.rv_ml, "myo": function.myo_ml, "lv": function.lv_ml, **(further or {})}
    return [
        {key: round(float(curve[phase]), 3) for key, curve in curves.items()} for phase in range(len(function.lv_ml))
    ]


def extreme_phases(function: CardiacFunction) -> list[int]:
    """Return the phases of the largest and the smallest LV, in order; one where they are the same."""
    return sorted({int(np.argmax(function.lv_ml)), int(np.argmin(function.lv_ml))})

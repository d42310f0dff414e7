"""Writes the numbers of a study as a DICOM structured report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage, generate_uid

from pipeline.data.dicom.cine import CineStack
from pipeline.data.dicom.headers import quiet_pydicom
from pipeline.dicom_objects import codes as code
from pipeline.dicom_objects.origin import SourceImages, instance_dataset, reference_image
from pipeline.dicom_objects.seg import CHARACTER_SET, MANUFACTURER, SEGMENT_NAMES, tracking_id
from pipeline.files import atomic_path
from pipeline.labels import Structure
from pipeline.metrics.function import CardiacFunction
from pipeline.metrics.quality import QualityFlag

SERIES_NUMBER = 9002
SERIES_DESCRIPTION = "Cardiac function, automatic, for research use"
DECIMALS = 3
"""Of the values: finer than any reader needs, coarse enough to hide the noise of floating point."""

Group = MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations


@dataclass(frozen=True)
class Quantity:
    """A number of :class:`CardiacFunction` and how it is coded.

    Attributes:
        field: the attribute's name.
        name: concept of the measurement.
        unit: its UCUM unit.
        method: how it was measured or computed.
        by_body_surface: whether the concept must be modified by "index: body surface area".
    """

    field: str
    name: Code
    unit: Code
    method: Code | None = None
    by_body_surface: bool = False


def _volume(field: str, name: Code) -> Quantity:
    return Quantity(field, name, code.MILLILITER, code.SUM_OF_SLICES)


def _volume_index(field: str, name: Code) -> Quantity:
    return Quantity(field, name, code.MILLILITER_PER_SQUARE_METER, code.SUM_OF_SLICES, by_body_surface=True)


ED_QUANTITIES: dict[Structure, tuple[Quantity, ...]] = {
    Structure.LV: (_volume("lv_edv_ml", code.LV_EDV), _volume_index("lv_edv_index_ml_m2", code.LV_EDV)),
    Structure.MYO: (
        Quantity("lv_mass_g", code.LV_MASS, code.GRAM, code.SUM_OF_SLICES),
        Quantity(
            "lv_mass_index_g_m2", code.LV_MASS, code.GRAM_PER_SQUARE_METER, code.SUM_OF_SLICES, by_body_surface=True
        ),
    ),
    Structure.RV: (_volume("rv_edv_ml", code.RV_EDV), _volume_index("rv_edv_index_ml_m2", code.RV_EDV)),
}
"""What is measured in one structure at end-diastole."""

ES_QUANTITIES: dict[Structure, tuple[Quantity, ...]] = {
    Structure.LV: (_volume("lv_esv_ml", code.LV_ESV), _volume_index("lv_esv_index_ml_m2", code.LV_ESV)),
    Structure.RV: (_volume("rv_esv_ml", code.RV_ESV), _volume_index("rv_esv_index_ml_m2", code.RV_ESV)),
}
"""What is measured in one structure at end-systole."""

BEAT_QUANTITIES: dict[Structure, tuple[Quantity, ...]] = {
    Structure.LV: (
        Quantity("lv_sv_ml", code.STROKE_VOLUME, code.MILLILITER),
        Quantity("lv_sv_index_ml_m2", code.STROKE_INDEX, code.MILLILITER_PER_SQUARE_METER),
        Quantity("lv_ef_percent", code.LV_EF, code.PERCENT),
        Quantity("lv_cardiac_output_l_min", code.CARDIAC_OUTPUT, code.LITER_PER_MINUTE),
        Quantity("lv_cardiac_index_l_min_m2", code.CARDIAC_INDEX, code.LITER_PER_MINUTE_PER_SQUARE_METER),
    ),
    Structure.RV: (
        Quantity("rv_sv_ml", code.RV_STROKE_VOLUME, code.MILLILITER),
        Quantity("rv_sv_index_ml_m2", code.RV_STROKE_INDEX, code.MILLILITER_PER_SQUARE_METER),
        Quantity("rv_ef_percent", code.RV_EF, code.PERCENT),
        Quantity("rv_cardiac_output_l_min", code.RV_CARDIAC_OUTPUT, code.LITER_PER_MINUTE),
    ),
}
"""What is computed of both phases."""

PATIENT_QUANTITIES = (
    Quantity("heart_rate_bpm", code.HEART_RATE, code.BEATS_PER_MINUTE),
    Quantity("height_cm", code.PATIENT_HEIGHT, code.CENTIMETER),
    Quantity("weight_kg", code.PATIENT_WEIGHT, code.KILOGRAM),
    Quantity("body_surface_area_m2", code.BODY_SURFACE_AREA, code.SQUARE_METER, code.MOSTELLER),
)


def write_structured_report(
    path: str | Path,
    function: CardiacFunction,
    stack: CineStack,
    flags: Sequence[QualityFlag],
    *,
    seg_path: str | Path | None,
    algorithm_name: str,
    algorithm_version: str,
    with_identifiers: bool = False,
) -> Path:
    """Write the numbers of a study as a measurement report (TID 1500) in a Comprehensive SR.

    Volumes and mass stand in a group for each structure and phase, which names the segment that was measured (TID 1411)
    or, without a segmentation, the images (TID 1501). Stroke volume, ejection fraction and output of each ventricle,
    what is known of the patient's size, and the quality flags, as text, follow in groups of their own. Numbers that
    cannot be known are left out. The report is preliminary and unverified, and its observer is the software.

    Patient and study are named as in :func:`pipeline.dicom_objects.seg.write_dicom_seg`: only with
    ``with_identifiers``. The file appears whole or not at all.

    Args:
        path: where to write; missing folders are made, an earlier file is replaced.
        function: the numbers.
        stack: the cine that they were measured in.
        flags: reasons to look at the study; may be empty.
        seg_path: the DICOM SEG of the same study with the ED and ES phases, None where there is none.
        algorithm_name: name of the network.
        algorithm_version: its version, or the checksum of its weights; at most 64 characters.
        with_identifiers: whether patient and study may be named in it.

    Returns:
        The path.

    Raises:
        ValueError: ``seg_path`` is no DICOM SEG of this study, or lacks a segment that was measured.
        InputError: a file of the cine can no longer be read.

    Source: DICOM PS3.16 TID 1500 "Measurement Report", TID 1411 "Volumetric ROI Measurements and Qualitative
        Evaluations", TID 1501 "Measurement and Qualitative Evaluation Group".
    """
    # UIDs that break the rules are the scanner's and must be named as they are
    with quiet_pydicom():
        segmentation = None if seg_path is None else _read_segmentation(Path(seg_path), stack)
        algorithm = AlgorithmIdentification(algorithm_name, algorithm_version)
        images = SourceImages(stack, {function.ed_phase, function.es_phase})
        groups = _Groups(function, images, segmentation, algorithm)
        content = MeasurementReport(
            observation_context=_observer(algorithm_name, algorithm_version),
            procedure_reported=code.HEART_MR,
            imaging_measurements=[*groups.measured(), *groups.flagged(flags)],
        )
        evidence = _evidence(stack, images, segmentation, with_identifiers)
        report = _report(evidence, content, algorithm_name, algorithm_version)
        with atomic_path(Path(path)) as partial:
            report.save_as(partial, enforce_file_format=True)
    return Path(path)


def _report(evidence: list[Dataset], content: MeasurementReport, name: str, version: str) -> ComprehensiveSR:
    return ComprehensiveSR(
        evidence=evidence,
        content=content,
        series_instance_uid=generate_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=name,
        software_versions=version,
        series_description=SERIES_DESCRIPTION,
        is_complete=True,
        specific_character_set=CHARACTER_SET,
    )


def _read_segmentation(path: Path, stack: CineStack) -> Dataset:
    tags = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SegmentSequence"]
    dataset = dcmread(path, stop_before_pixels=True, specific_tags=tags)
    if dataset.SOPClassUID != SegmentationStorage or dataset.StudyInstanceUID != stack.study_instance_uid:
        raise ValueError(f"seg_path must be a DICOM SEG of the study that was measured, got {path}.")
    return dataset


def _observer(name: str, version: str) -> ObservationContext:
    device = DeviceObserverIdentifyingAttributes(
        # one version of the software is one device wherever it runs
        uid=generate_uid(entropy_srcs=[MANUFACTURER, name, version]),
        name=name,
        manufacturer_name=MANUFACTURER,
        model_name=f"{name} {version}",
    )
    return ObservationContext(observer_device_context=ObserverContext(CodedConcept.from_code(code.DEVICE), device))


def _evidence(
    stack: CineStack, images: SourceImages, segmentation: Dataset | None, with_identifiers: bool
) -> list[Dataset]:
    """Return all objects that the report refers to; the first carries patient and study."""
    evidence = [instance_dataset(stack, instance) for instance in images.instances()]
    if segmentation is not None:
        evidence.append(segmentation)
    identity = Dataset()
    identity.update(reference_image(stack, with_identifiers))
    identity.update(evidence[0])
    return [identity, *evidence[1:]]


class _Groups:
    """Makes the groups of measurements of a report."""

    def __init__(
        self,
        function: CardiacFunction,
        images: SourceImages,
        segmentation: Dataset | None,
        algorithm: AlgorithmIdentification,
    ) -> None:
        self.function = function
        self.images = images
        self.segmentation = segmentation
        self.algorithm = algorithm
        self.phases = list(dict.fromkeys([function.ed_phase, function.es_phase]))

    def measured(self) -> list[Group]:
        """Return the groups of the structures at ED and ES, of both ventricles' beats, and of the patient."""
        function = self.function
        at_ed = [self._structure(key, function.ed_phase, found) for key, found in ED_QUANTITIES.items()]
        at_es = [self._structure(key, function.es_phase, found) for key, found in ES_QUANTITIES.items()]
        beats = [self._beat(key, found) for key, found in BEAT_QUANTITIES.items()]
        patient = self._group("Patient", self._measurements(PATIENT_QUANTITIES))
        return [group for group in [*at_ed, *at_es, *beats, patient] if group is not None]

    def flagged(self, flags: Sequence[QualityFlag]) -> list[Group]:
        """Return the group of the quality flags, none where there are none."""
        if not flags:
            return []
        group = MeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(identifier="Quality flags"),
            finding_type=code.QUALITY_ASSESSMENT,
            algorithm_id=self.algorithm,
        )
        for flag in flags:
            phase = "" if flag.phase is None else f" (phase {flag.phase + 1})"
            text = f"{flag.code}: {flag.message}{phase}"
            group[0].ContentSequence.append(
                TextContentItem(code.COMMENT, text, relationship_type=RelationshipTypeValues.CONTAINS)
            )
        return [group]

    def _structure(self, structure: Structure, phase: int, quantities: Sequence[Quantity]) -> Group | None:
        measurements = self._measurements(quantities)
        if not measurements:
            return None
        site = code.STRUCTURES[structure]
        if self.segmentation is None:
            title = f"{SEGMENT_NAMES[structure]}, phase {phase + 1}"
            return self._group(title, measurements, site, [phase])
        segment = self._segment(self.segmentation, structure, phase)
        images = [
            SourceImageForSegmentation(image.sop_class_uid, image.sop_instance_uid, image.frame_numbers)
            for image in self.images.instances([phase])
        ]
        return VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(segment.TrackingUID, segment.TrackingID),
            referenced_segment=ReferencedSegment(
                SegmentationStorage, self.segmentation.SOPInstanceUID, segment.SegmentNumber, source_images=images
            ),
            finding_type=site,
            finding_sites=[FindingSite(site)],
            algorithm_id=self.algorithm,
            measurements=measurements,
        )

    def _beat(self, structure: Structure, quantities: Sequence[Quantity]) -> Group | None:
        title = f"Function of the {structure.name}"
        return self._group(title, self._measurements(quantities), code.STRUCTURES[structure], self.phases)

    def _group(
        self, title: str, measurements: list[Measurement], site: Code | None = None, phases: Sequence[int] = ()
    ) -> Group | None:
        if not measurements:
            return None
        images = [
            SourceImageForMeasurementGroup(image.sop_class_uid, image.sop_instance_uid, image.frame_numbers)
            for image in self.images.instances(phases)
        ]
        return MeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(identifier=title),
            finding_type=site,
            finding_sites=None if site is None else [FindingSite(site)],
            algorithm_id=self.algorithm,
            measurements=measurements,
            source_images=images or None,
        )

    def _measurements(self, quantities: Sequence[Quantity]) -> list[Measurement]:
        values = [(quantity, getattr(self.function, quantity.field)) for quantity in quantities]
        return [_measurement(quantity, value) for quantity, value in values if value is not None]

    @staticmethod
    def _segment(segmentation: Dataset, structure: Structure, phase: int) -> Dataset:
        wanted = tracking_id(structure, phase)
        for segment in segmentation.SegmentSequence:
            if segment.get("TrackingID") == wanted:
                return segment
        raise ValueError(f"seg_path must hold the segment '{wanted}' that was measured. Write that phase into the SEG.")


def _measurement(quantity: Quantity, value: Any) -> Measurement:
    measurement = Measurement(quantity.name, round(float(value), DECIMALS), quantity.unit, method=quantity.method)
    if quantity.by_body_surface:
        index = CodeContentItem(
            code.INDEX, code.BODY_SURFACE_AREA, relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD
        )
        measurement[0].ContentSequence.append(index)
    return measurement

"""A phantom cine as one Enhanced MR Image: every slice of every phase a frame, what they share said once.

Source: DICOM PS3.3, A.36.2 (Enhanced MR Image IOD), C.7.6.16 (functional groups), C.8.13 (Enhanced MR modules).
"""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset
from pydicom.uid import EnhancedMRImageStorage

from pipeline.data.phantom.cine_study import CineStudy, attributes, decimal, patient_and_study

_FRAME_TYPE = ["ORIGINAL", "PRIMARY", "CINE", "NONE"]
_ACQUIRED = "20200101120500"
_HEART = attributes(CodeValue="80891009", CodingSchemeDesignator="SCT", CodeMeaning="Heart")
_POSITION_POINTER, _TRIGGER_POINTER = 0x00209057, 0x00209153  # In-Stack Position Number, Nominal Trigger Delay Time
_CONTENT_GROUP, _CARDIAC_GROUP = 0x00209111, 0x00189118  # Frame Content, Cardiac Synchronization


def enhanced_mr(study: CineStudy, places: Sequence[tuple[int, int]]) -> Dataset:
    """Return a cine as an Enhanced MR Image, pixels included.

    Args:
        study: the cine and its patient.
        places: slice and phase of each frame, in the order of the frames.
    """
    image = patient_and_study(study)
    image.update(_series_and_image(study, len(places)))
    image.update(_acquisition(study))
    image.update(_dimensions(study))
    image.SharedFunctionalGroupsSequence = [_shared_groups(study)]
    image.PerFrameFunctionalGroupsSequence = [_frame_groups(study, z, phase) for z, phase in places]
    image.PixelData = b"".join(study.pixels(z, phase).tobytes() for z, phase in places)
    return image


def _series_and_image(study: CineStudy, num_frames: int) -> Dataset:
    return attributes(
        SOPClassUID=EnhancedMRImageStorage,
        SOPInstanceUID=study.uid("enhanced image"),
        SeriesInstanceUID=study.uid("series", 1),
        SeriesNumber=1,
        SeriesDescription="Cine SAX bSSFP",
        SeriesDate="20200101",
        SeriesTime="120500",
        InstanceNumber=1,
        ContentDate="20200101",
        ContentTime="120500",
        NumberOfFrames=num_frames,
        ImageType=_FRAME_TYPE,
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
        ComplexImageComponent="MAGNITUDE",
        AcquisitionContrast="UNKNOWN",
        ContentQualification="RESEARCH",
        BurnedInAnnotation="NO",
        LossyImageCompression="00",
        PresentationLUTShape="IDENTITY",
        AcquisitionContextSequence=[],
    )


def _acquisition(study: CineStudy) -> Dataset:
    """Return the pulse sequence, a segmented bSSFP, and how it was gated."""
    return attributes(
        AcquisitionNumber=1,
        AcquisitionDateTime=_ACQUIRED,
        AcquisitionDuration=10000.0,
        ProtocolName="Cine SAX bSSFP",
        MagneticFieldStrength="1.5",
        ResonantNucleus="1H",
        KSpaceFiltering="NONE",
        ApplicableSafetyStandardAgency="IEC",
        PulseSequenceName="bSSFP",
        MRAcquisitionType="2D",
        EchoPulseSequence="GRADIENT",
        MultiPlanarExcitation="NO",
        PhaseContrast="NO",
        TimeOfFlightContrast="NO",
        SteadyStatePulseSequence="FREE_PRECESSION",
        EchoPlanarPulseSequence="NO",
        SaturationRecovery="NO",
        SpectrallySelectedSuppression="NONE",
        OversamplingPhase="NONE",
        GeometryOfKSpaceTraversal="RECTILINEAR",
        RectilinearPhaseEncodeReordering="LINEAR",
        SegmentedKSpaceTraversal="PARTIAL",
        NumberOfKSpaceTrajectories=1,
        CardiacSynchronizationTechnique="RETROSPECTIVE",
        CardiacSignalSource="ECG",
        CardiacRRIntervalSpecified=study.rr_ms,
        CardiacBeatRejectionTechnique="NONE",
        LowRRValue=round(0.9 * study.rr_ms),
        HighRRValue=round(1.1 * study.rr_ms),
        IntervalsAcquired=10,
        IntervalsRejected=0,
    )


def _dimensions(study: CineStudy) -> Dataset:
    organization = study.uid("dimensions")
    pairs = ((_POSITION_POINTER, _CONTENT_GROUP), (_TRIGGER_POINTER, _CARDIAC_GROUP))
    indices = [
        attributes(DimensionOrganizationUID=organization, DimensionIndexPointer=pointer, FunctionalGroupPointer=group)
        for pointer, group in pairs
    ]
    return attributes(
        DimensionOrganizationSequence=attributes(DimensionOrganizationUID=organization), DimensionIndexSequence=indices
    )


def _shared_groups(study: CineStudy) -> Dataset:
    """Return the functional groups that hold for all frames."""
    return attributes(
        PixelMeasuresSequence=attributes(
            PixelSpacing=study.pixel_spacing(),
            SliceThickness=decimal(study.slice_thickness_mm),
            SpacingBetweenSlices=decimal(study.spacing_mm[2]),
        ),
        PlaneOrientationSequence=attributes(ImageOrientationPatient=study.orientation()),
        FrameAnatomySequence=attributes(FrameLaterality="U", AnatomicRegionSequence=_HEART),
        PixelValueTransformationSequence=attributes(RescaleIntercept="0", RescaleSlope="1", RescaleType="US"),
        MRImageFrameTypeSequence=attributes(
            FrameType=_FRAME_TYPE,
            PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME",
            VolumeBasedCalculationTechnique="NONE",
            ComplexImageComponent="MAGNITUDE",
            AcquisitionContrast="UNKNOWN",
        ),
        **_mr_groups(study),
    )


def _mr_groups(study: CineStudy) -> dict[str, Dataset]:
    """Return the functional groups of the MR acquisition, which Enhanced MR demands of original images."""
    columns, rows = study.cine.shape[:2]
    return {
        "MRTimingAndRelatedParametersSequence": attributes(
            RepetitionTime="3.2",
            FlipAngle="50",
            EchoTrainLength=1,
            RFEchoTrainLength=0,
            GradientEchoTrainLength=1,
            SpecificAbsorptionRateSequence=attributes(
                SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY", SpecificAbsorptionRateValue=1.0
            ),
            GradientOutputType="DB_DT",
            GradientOutput=100.0,
            OperatingModeSequence=attributes(OperatingModeType="GRADIENT", OperatingMode="IEC_NORMAL"),
        ),
        "MRFOVGeometrySequence": attributes(
            InPlanePhaseEncodingDirection="ROW",
            MRAcquisitionFrequencyEncodingSteps=columns,
            MRAcquisitionPhaseEncodingStepsInPlane=rows,
            PercentSampling="100",
            PercentPhaseFieldOfView="100",
        ),
        "MREchoSequence": attributes(EffectiveEchoTime=1.6),
        "MRModifierSequence": attributes(
            InversionRecovery="NO",
            FlowCompensation="NONE",
            Spoiling="NONE",
            T2Preparation="NO",
            SpectrallySelectedExcitation="NONE",
            SpatialPresaturation="NONE",
            PartialFourier="NO",
            ParallelAcquisition="NO",
        ),
        "MRImagingModifierSequence": attributes(
            MagnetizationTransfer="NONE",
            BloodSignalNulling="NO",
            Tagging="NONE",
            TransmitterFrequency=63.9,
            PixelBandwidth="900",
        ),
        "MRReceiveCoilSequence": attributes(
            ReceiveCoilName="CARDIAC",
            ReceiveCoilManufacturerName="Phantom",
            ReceiveCoilType="MULTICOIL",
            QuadratureReceiveCoil="NO",
            MultiCoilDefinitionSequence=attributes(MultiCoilElementName="1", MultiCoilElementUsed="YES"),
        ),
        "MRTransmitCoilSequence": attributes(
            TransmitCoilName="BODY", TransmitCoilManufacturerName="Phantom", TransmitCoilType="BODY"
        ),
        "MRAveragesSequence": attributes(NumberOfAverages="1"),
    }


def _frame_groups(study: CineStudy, z: int, phase: int) -> Dataset:
    """Return the functional groups of one frame: where it lies and when in the beat it was taken."""
    return attributes(
        FrameContentSequence=attributes(
            FrameAcquisitionNumber=1,
            FrameReferenceDateTime=_ACQUIRED,
            FrameAcquisitionDateTime=_ACQUIRED,
            FrameAcquisitionDuration=study.rr_ms / study.num_phases,
            CardiacCyclePosition="UNDETERMINED",
            StackID="1",
            InStackPositionNumber=z + 1,
            TemporalPositionIndex=phase + 1,
            DimensionIndexValues=[z + 1, phase + 1],
        ),
        PlanePositionSequence=attributes(ImagePositionPatient=study.position(z)),
        CardiacSynchronizationSequence=attributes(
            NominalPercentageOfCardiacPhase=100.0 * phase / study.num_phases,
            NominalCardiacTriggerDelayTime=study.trigger_ms(phase),
            ActualCardiacTriggerDelayTime=study.trigger_ms(phase),
            RRIntervalTimeNominal=study.rr_ms,
        ),
    )

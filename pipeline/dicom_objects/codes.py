"""Coded concepts of the DICOM objects that the project writes.

Source: DICOM PS3.16 "Content Mapping Resource", context groups 3833, 3835, 7150, 7151 and 7474, templates 1500 and
3602; units by UCUM.
"""

from __future__ import annotations

from pydicom.sr.coding import Code

from pipeline.labels import Structure

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
HEART_MR = Code("241620005", "SCT", "Magnetic resonance imaging of heart")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
DEVICE = Code("121007", "DCM", "Device")

STRUCTURES: dict[Structure, Code] = {
    Structure.LV: Code("87878005", "SCT", "Left ventricle"),
    Structure.MYO: Code("49848007", "SCT", "Left Ventricle Myocardium"),
    Structure.RV: Code("53085002", "SCT", "Right ventricle"),
}
"""What a segment is. The context groups know no cavity of a ventricle: the labels of the segments say "blood pool"."""

LV_EDV = Code("8821-1", "LN", "Left Ventricular ED Volume")
LV_ESV = Code("8823-7", "LN", "Left Ventricular ES Volume")
LV_EF = Code("8811-2", "LN", "Left ventricular ejection fraction by MR")
LV_MASS = Code("18087-7", "LN", "Left Ventricle Mass")
RV_EDV = Code("8822-9", "LN", "Right Ventricular ED Volume")
RV_ESV = Code("8824-5", "LN", "Right Ventricular ES Volume")
RV_EF = Code("8818-7", "LN", "Right ventricular ejection fraction by MR")
STROKE_VOLUME = Code("90096001", "SCT", "Stroke Volume")
STROKE_INDEX = Code("277381004", "SCT", "Stroke Index")
CARDIAC_OUTPUT = Code("82799009", "SCT", "Cardiac Output")
CARDIAC_INDEX = Code("54993008", "SCT", "Cardiac Index")
RV_STROKE_VOLUME = Code("429483009", "SCT", "RV Stroke Volume")
RV_STROKE_INDEX = Code("429619008", "SCT", "RV Stroke Index")
RV_CARDIAC_OUTPUT = Code("428628004", "SCT", "RV Cardiac Output")
HEART_RATE = Code("8867-4", "LN", "Heart rate")
PATIENT_HEIGHT = Code("8302-2", "LN", "Patient Height")
PATIENT_WEIGHT = Code("29463-7", "LN", "Patient Weight")
BODY_SURFACE_AREA = Code("8277-6", "LN", "Body Surface Area")

INDEX = Code("121425", "DCM", "Index")
"""Modifier of a measurement: what it was divided by."""
# the standard's own meaning, "Integration of sum of closed areas on contiguous slices method for volume", is longer
# than the 64 characters of a Code Meaning
SUM_OF_SLICES = Code("122503", "DCM", "Sum of closed areas on contiguous slices method for volume")
MOSTELLER = Code("122244", "DCM", "BSA = (HT*WT/36)^0.5")
QUALITY_ASSESSMENT = Code("111050", "DCM", "Quality Assessment")
COMMENT = Code("121106", "DCM", "Comment")

MILLILITER = Code("mL", "UCUM", "milliliter")
MILLILITER_PER_SQUARE_METER = Code("mL/m2", "UCUM", "milliliter per square meter")
GRAM = Code("g", "UCUM", "gram")
GRAM_PER_SQUARE_METER = Code("g/m2", "UCUM", "gram per square meter")
PERCENT = Code("%", "UCUM", "percent")
LITER_PER_MINUTE = Code("L/min", "UCUM", "liter per minute")
LITER_PER_MINUTE_PER_SQUARE_METER = Code("L/min/m2", "UCUM", "liter per minute per square meter")
BEATS_PER_MINUTE = Code("{H.B.}/min", "UCUM", "BPM")
CENTIMETER = Code("cm", "UCUM", "centimeter")
KILOGRAM = Code("kg", "UCUM", "kilogram")
SQUARE_METER = Code("m2", "UCUM", "square meter")

"""Transforms that MONAI lacks: array class and dictionary class (``…d``) side by side.

``pipeline.transforms.batch`` holds those that augment whole batches.
"""

from pipeline.transforms.check_image import CheckImage, CheckImaged, CheckSameGridd
from pipeline.transforms.drawn import CropToDrawn, CropToDrawnd, KeepDrawn, KeepDrawnd
from pipeline.transforms.expected_dice import ExpectedDice, ExpectedDiced
from pipeline.transforms.largest_component import KeepLargestComponent, KeepLargestComponentd
from pipeline.transforms.load_volume import LoadVolume, LoadVolumed
from pipeline.transforms.map_labels import MapLabels, MapLabelsd
from pipeline.transforms.most_probable import MostProbable, MostProbabled
from pipeline.transforms.neighbor_slices import neighbor_slices
from pipeline.transforms.orientation import OrientInPlane, OrientInPlaned
from pipeline.transforms.repair_affine import RepairAffine, RepairAffined
from pipeline.transforms.scale_percentiles import ScaleIntensityPercentiles, ScaleIntensityPercentilesd
from pipeline.transforms.select_frame import SelectFrame, SelectFramed
from pipeline.transforms.spacing import SpacingInPlane, SpacingInPlaned
from pipeline.transforms.uncertainty import Uncertainty, Uncertaintyd
from pipeline.transforms.volume import EnsureVolume, EnsureVolumed

__all__ = [
    "CheckImage",
    "CheckImaged",
    "CheckSameGridd",
    "CropToDrawn",
    "CropToDrawnd",
    "EnsureVolume",
    "EnsureVolumed",
    "ExpectedDice",
    "ExpectedDiced",
    "KeepDrawn",
    "KeepDrawnd",
    "KeepLargestComponent",
    "KeepLargestComponentd",
    "LoadVolume",
    "LoadVolumed",
    "MapLabels",
    "MapLabelsd",
    "MostProbable",
    "MostProbabled",
    "OrientInPlane",
    "OrientInPlaned",
    "RepairAffine",
    "RepairAffined",
    "ScaleIntensityPercentiles",
    "ScaleIntensityPercentilesd",
    "SelectFrame",
    "SelectFramed",
    "SpacingInPlane",
    "SpacingInPlaned",
    "Uncertainty",
    "Uncertaintyd",
    "neighbor_slices",
]

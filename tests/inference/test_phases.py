from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, ScaleIntensityd, SpatialPadd

from pipeline.inference.heart_window import HeartWindowInferer
from pipeline.inference.inferer import SliceWindowInferer
from pipeline.inference.phases import DecidingInferer, PhasePreprocessing, phase_groups, spread

AFFINE = np.diag([-1.5, 2.0, 8.0, 1.0])


def cine(phases: int = 5) -> MetaTensor:
    voxels = torch.rand(phases, 4, 3, 2, generator=torch.Generator().manual_seed(0))
    return MetaTensor(voxels, affine=torch.as_tensor(AFFINE), meta={"filename_or_obj": "a.nii.gz"})


def preprocessing() -> PhasePreprocessing:
    """Doubled when read; padded, which can be inverted, and scaled phase by phase in groups."""
    padded, scaled = SpatialPadd("image", (6, 6, -1)), ScaleIntensityd("image", channel_wise=True)
    return PhasePreprocessing(Compose([lambda item: {"image": item["image"] * 2}, padded, scaled]))


def test_reading_ends_before_the_first_transform_that_is_inverted() -> None:
    read = preprocessing().read({"image": cine()})["image"]
    torch.testing.assert_close(read.as_tensor(), cine().as_tensor() * 2)
    assert read.applied_operations == []


def test_groups_are_preprocessed_as_the_whole() -> None:
    split = preprocessing()
    scan = split.read({"image": cine()})
    parts = [split.batch(scan, group)["image"] for group in (slice(0, 2), slice(2, 5))]
    torch.testing.assert_close(torch.cat([part.as_tensor() for part in parts]), split.batch(scan)["image"].as_tensor())


def test_batch_holds_the_phases_asked_for() -> None:
    split = preprocessing()
    scan = split.read({"image": cine()})
    assert torch.equal(split.batch(scan, [4, 1])["image"], split.batch(scan)["image"][[4, 1]])


def test_scan_is_as_read_after_its_batches() -> None:
    split = preprocessing()
    scan = split.read({"image": cine()})
    split.batch(scan, slice(0, 2))
    assert scan["image"].applied_operations == []
    np.testing.assert_array_equal(scan["image"].affine, AFFINE)
    torch.testing.assert_close(scan["image"].as_tensor(), cine().as_tensor() * 2)


def test_each_phase_of_a_batch_can_be_inverted_by_itself() -> None:
    split = preprocessing()
    batch = split.batch(split.read({"image": cine()}), slice(1, 3))["image"]
    assert [len(operations) for operations in batch.applied_operations] == [1, 1]


def test_transform_that_is_no_compose_reads_the_whole() -> None:
    split = PhasePreprocessing(lambda item: {"image": item["image"] + 1})
    scan = split.read({"image": torch.zeros(2, 4, 3, 2)})
    assert split.batch(scan)["image"].shape == (2, 1, 4, 3, 2)
    assert float(scan["image"].mean()) == 1.0


@pytest.mark.parametrize(
    ("group_voxels", "groups"),
    [
        (5 * 24, [slice(0, 5)]),
        (5 * 24 - 1, [slice(0, 2), slice(2, 5)]),
        (2 * 24, [slice(0, 1), slice(1, 3), slice(3, 5)]),
        (1, [slice(n, n + 1) for n in range(5)]),
    ],
)
def test_phases_of_24_voxels_fill_the_groups(group_voxels: int, groups: list[slice]) -> None:
    assert phase_groups(cine(), group_voxels) == groups


@pytest.mark.parametrize(
    ("at_most", "places"), [(None, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4]), (3, [0, 2, 4]), (1, [2])]
)
def test_places_lie_in_the_middle_of_their_shares(at_most: int | None, places: list[int]) -> None:
    assert spread(5, at_most) == places


@pytest.mark.parametrize(("inferer", "decides"), [(HeartWindowInferer(-1, 16), True), (SliceWindowInferer(-1), False)])
def test_only_what_looks_for_the_heart_decides(inferer: Any, decides: bool) -> None:
    assert isinstance(inferer, DecidingInferer) is decides

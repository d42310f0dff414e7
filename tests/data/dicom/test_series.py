"""Groups of images that could be one stack each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.data.dicom.frame import Frame
from pipeline.data.dicom.series import Group, group_images, is_parallel, merge_single_slices

Make = Callable[..., Frame]
MakeMany = Callable[..., list[Frame]]

ACROSS = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def turned(degrees: float) -> tuple[float, ...]:
    """Image axes turned about x."""
    angle = np.deg2rad(degrees)
    return (1.0, 0.0, 0.0, 0.0, float(np.cos(angle)), float(np.sin(angle)))


def test_slices_lie_along_the_normal_whatever_their_numbers(make_frames: MakeMany) -> None:
    frames = make_frames(4, 2)
    (group,) = group_images(frames[::-1])
    assert [{frame.slice_location for frame in part} for part in group.slices] == [{0}, {8}, {16}, {24}]
    assert group.normal == pytest.approx([2 / 3, -2 / 3, -1 / 3])


def test_positions_closer_than_the_tolerance_are_one_slice(make_frame: Make) -> None:
    (group,) = group_images([make_frame(0), make_frame(0.02, phase=1), make_frame(1)])
    assert [len(part) for part in group.slices] == [2, 1]


def test_phases_are_those_of_most_slices(make_frames: MakeMany) -> None:
    (group,) = group_images(make_frames(3, 6)[:-2])
    assert group.phases == 6


def test_other_series_size_direction_spacing_and_contrast_are_other_groups(make_frame: Make) -> None:
    changes = [
        {"series_uid": "1.9"},
        {"rows": 7},
        {"orientation": ACROSS},
        {"pixel_spacing": (1.0, 1.0)},
        {"velocity": True},
        {"samples": 3},
    ]
    frames = [make_frame(0), make_frame(1), *(make_frame(2, i, **change) for i, change in enumerate(changes))]
    assert sorted(len(group.frames) for group in group_images(frames)) == [1, 1, 1, 1, 1, 1, 2]


def test_rounded_directions_and_spacings_are_the_same(make_frame: Make) -> None:
    rounded = make_frame(1, orientation=(0.6667, 0.3333, 0.6667, -0.3333, -0.6667, 0.6667), pixel_spacing=(1.5, 1.2501))
    assert len(group_images([make_frame(0), rounded])) == 1


@pytest.mark.parametrize(("degrees", "parallel"), [(0.5, True), (1.5, False), (180.0, False)])
def test_parallel_images_differ_by_less_than_a_degree(degrees: float, parallel: bool) -> None:
    assert is_parallel(turned(0), turned(degrees)) is parallel


def test_group_without_place_says_so_and_counts_as_one_slice(make_frames: MakeMany) -> None:
    (group,) = group_images(make_frames(3, 2, position=None))
    assert group.problem.startswith("ImagePositionPatient is missing")
    assert len(group.slices) == 1


def test_group_with_impossible_spacing_says_so(make_frames: MakeMany) -> None:
    (group,) = group_images(make_frames(3, 2, pixel_spacing=(-1.0, 1.0)))
    assert group.problem.startswith("PixelSpacing must be")


def test_copies_are_told_once(make_frames: MakeMany) -> None:
    frames = make_frames(3, 2)
    (group,) = group_images([*frames, *make_frames(1, 2, path="copy.dcm")])
    assert len(group.frames) == 6
    assert [repair.resolution for repair in group.repairs] == ["read once"]


def single(make_frames: MakeMany, index: int, **changes: object) -> Group:
    frames = [frame for frame in make_frames(index + 1, 6, series_uid=f"2.{index}", **changes)][-6:]
    return Group(tuple(frames))


def test_cines_of_one_slice_each_are_one_stack(make_frames: MakeMany) -> None:
    groups = [single(make_frames, index) for index in range(3)]
    (merged,) = merge_single_slices(groups, [True] * 3)
    assert len(merged.slices) == 3
    assert merged.series == ("2.0", "2.1", "2.2")


def test_slices_of_another_size_and_stills_stay_alone(make_frames: MakeMany) -> None:
    groups = [single(make_frames, 0), single(make_frames, 1, rows=9), single(make_frames, 2), single(make_frames, 3)]
    merged = merge_single_slices(groups, [True, True, True, False])
    assert [len(group.slices) for group in merged] == [2, 1, 1]


def test_stack_takes_no_single_slice(make_frames: MakeMany) -> None:
    groups = [Group(tuple(make_frames(3))), single(make_frames, 4)]
    assert len(merge_single_slices(groups, [True, True])) == 2

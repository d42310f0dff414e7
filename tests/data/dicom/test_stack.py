"""A stack built of its images: grid, order, and what is said of what was mended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.data.dicom.cine import CineStack, SourceFrame
from pipeline.data.dicom.frame import Frame
from pipeline.data.dicom.series import Group, group_images
from pipeline.data.dicom.stack import build_stack
from pipeline.errors import InputError

Make = Callable[..., Frame]
MakeMany = Callable[..., list[Frame]]

NORMAL = np.array([2, -2, -1]) / 3


def build(frames: list[Frame], others: tuple[Group, ...] = ()) -> CineStack:
    return build_stack(Group(tuple(frames)), others, "study", "chosen")


def told(stack: CineStack) -> str:
    return "; ".join(f"{repair.problem}: {repair.resolution}" for repair in stack.repairs)


def moved(frame: Frame, by: Any) -> Frame:
    return replace(frame, position=tuple(float(value) for value in np.asarray(frame.position) + by))


def test_affine_is_worked_out_by_hand(make_frames: MakeMany) -> None:
    # columns 1.25 mm apart along (2, 1, 2)/3, rows 1.5 mm along (-1, -2, 2)/3, slices 8 mm along (2, -2, -1)/3, from
    # (10, 20, 30); x and y change sign from LPS to RAS
    expected = [
        [-2.5 / 3, 0.5, -16 / 3, -10],
        [-1.25 / 3, 1.0, 16 / 3, -20],
        [2.5 / 3, 1.0, -8 / 3, 30],
        [0, 0, 0, 1],
    ]
    assert build(make_frames()).affine == pytest.approx(np.array(expected))


def test_order_of_the_files_does_not_matter(make_frames: MakeMany) -> None:
    frames = make_frames()
    stack = build(frames[::-1])
    assert stack.affine == pytest.approx(build(frames).affine)
    assert stack.frames[1][2] == SourceFrame("s1p2.dcm", "1.2.840.10008.5.1.4.1.1.4", "1.3.1.2")


def test_stack_says_what_it_is(make_frames: MakeMany) -> None:
    stack = build(make_frames(4, 6, heart_rate_bpm=66.0, patient_size=1.8, patient_weight_kg=70.0))
    assert stack.shape == (8, 6, 4, 6)
    assert (stack.study_instance_uid, stack.series_instance_uids) == ("1.1", ("1.2",))
    assert (stack.series_description, stack.reason, stack.repairs) == ("cine", "chosen", ())
    assert (stack.heart_rate_bpm, stack.height_cm, stack.weight_kg) == (66.0, 180.0, 70.0)
    assert stack.phase_times_ms == (0, 150, 300, 450, 600, 750)
    assert stack.slice_positions_mm == (0, 8, 16, 24)


def test_series_of_slices_are_named_from_slice_to_slice(make_frame: Make) -> None:
    frames = [make_frame(z, t, series_uid=f"1.{9 - z}") for z in range(3) for t in range(6)]
    assert build(frames).series_instance_uids == ("1.9", "1.8", "1.7")


def test_single_slice_has_the_thickness_that_is_written(make_frames: MakeMany) -> None:
    stack = build(make_frames(1, 6))
    assert np.linalg.norm(stack.affine[:3, 2]) == pytest.approx(8)
    assert np.linalg.norm(build(make_frames(1, 6, slice_spacing=None)).affine[:3, 2]) == pytest.approx(1)


def test_single_slice_has_no_positions_along_the_normal(make_frames: MakeMany) -> None:
    assert build(make_frames(1, 6)).slice_positions_mm == ()


def test_slice_planned_again_a_little_off_counts_once(make_frame: Make, make_frames: MakeMany) -> None:
    # 0.4 mm from the second slice, of slices 8 mm apart
    again = [make_frame(1.05, t, acquisition_number=2.0) for t in range(6)]
    stack = build([*make_frames(), *again])
    assert stack.shape[2] == 4
    assert {frame.path for frame in stack.frames[1]} == {f"s1.05p{t}.dcm" for t in range(6)}
    assert stack.slice_positions_mm == (0, 8.4, 16, 24)


def test_group_with_a_problem_is_refused(make_frames: MakeMany) -> None:
    group = Group(tuple(make_frames()), problem="PixelSpacing is missing in a.dcm")
    with pytest.raises(InputError, match=r"study cannot be read: PixelSpacing is missing in a\.dcm"):
        build_stack(group, (), "study", "")


def test_damaged_image_is_replaced_by_the_nearest(make_frames: MakeMany) -> None:
    frames = make_frames()
    frames[8] = replace(frames[8], header=replace(frames[8].header, damage="it is cut off"))
    stack = build(frames)
    assert stack.frames[1][2].path in ("s1p1.dcm", "s1p3.dcm")
    assert "1 file cannot be read: it is cut off: left out" in told(stack)
    assert "slice 2 of 4 has 5 phases" in told(stack)


def test_study_of_damaged_images_is_refused(make_frames: MakeMany) -> None:
    with pytest.raises(InputError, match=r"study, s0p0\.dcm \(it is cut off\): 0 of 24 images are too few"):
        build(make_frames(damage="it is cut off"))


def test_slice_far_from_the_others_is_left_out(make_frame: Make) -> None:
    frames = [make_frame(z, t) for z in (0, 1, 2, 9) for t in range(6)]
    stack = build(frames)
    assert stack.shape[2] == 3
    assert "1 slice 56 mm from the rest of the stack: left out" in told(stack)


def test_missing_slice_leaves_the_others_at_their_places(make_frame: Make) -> None:
    stack = build([make_frame(z, t) for z in (0, 1, 3, 4) for t in range(6)])
    assert stack.slice_positions_mm == (0, 8, 24, 32)
    assert np.linalg.norm(stack.affine[:3, 2]) == pytest.approx(32 / 3)
    assert "1 slice missing: slices 2 and 3 of 4 are 16.0 mm apart, the others 8.0 mm" in told(stack)
    assert "mean distance, 10.67 mm" in told(stack)


def test_uneven_slices_are_told(make_frame: Make) -> None:
    stack = build([make_frame(z, t) for z in (0, 1, 2.25) for t in range(6)])
    assert "uneven slices: slices 2 and 3 of 3 are 10.0 mm apart" in told(stack)


def test_stack_in_pieces_is_refused(make_frame: Make) -> None:
    frames = [make_frame(z, t) for z in (0, 1, 10, 11, 20, 21) for t in range(6)]
    with pytest.raises(InputError, match=r"study, s0p0\.dcm: 2 of 6 slices that lie close together are too few"):
        build(frames)


def test_slices_too_far_apart_are_refused(make_frame: Make) -> None:
    with pytest.raises(InputError, match=r"slices must be 0\.3 to 60 mm apart, got 80 mm"):
        build([make_frame(10 * z, t) for z in range(3) for t in range(6)])


def test_rounded_positions_lie_on_the_normal(make_frames: MakeMany) -> None:
    frames = [moved(frame, [0.05, 0.05, 0]) if frame.slice_location == 16 else frame for frame in make_frames()]
    stack = build(frames)
    assert stack.affine[:3, 2] == pytest.approx(8 * NORMAL * [-1, -1, 1], abs=0.02)
    assert stack.repairs == ()


def test_sheared_stack_has_a_sheared_affine(make_frames: MakeMany) -> None:
    # each slice lies 2 mm further along the rows
    row = np.array([2, 1, 2]) / 3
    frames = [moved(frame, 2 * frame.slice_location / 8 * row) for frame in make_frames()]
    stack = build(frames)
    assert stack.affine[:3, 2] == pytest.approx((8 * NORMAL + 2 * row) * [-1, -1, 1])
    assert "up to 6.0 mm beside the normal through the first: the affine is sheared" in told(stack)


def test_slice_beside_the_others_is_told(make_frames: MakeMany) -> None:
    row = np.array([2, 1, 2]) / 3
    frames = [moved(frame, 4 * row) if frame.slice_location == 16 else frame for frame in make_frames()]
    assert "up to 4.0 mm beside the normal through the first: kept" in told(build(frames))


def test_slice_acquired_again_in_another_series_counts(make_frames: MakeMany) -> None:
    again = [frame for frame in make_frames(2, 6, series_uid="1.9", series_number=9) if frame.slice_location == 8]
    stack = build([*make_frames(), *again])
    assert stack.series_instance_uids == ("1.2", "1.9")
    assert "slice 2 was acquired more than once" in told(stack)


def test_several_repeated_slices_are_named(make_frames: MakeMany) -> None:
    stack = build([*make_frames(), *make_frames(2, 6, series_uid="1.9", series_number=9)])
    assert "slices 1, 2 were acquired more than once" in told(stack)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"rows": 5}, "have another size, 8 x 5 instead of 8 x 6 pixels"),
        ({"orientation": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)}, "have another orientation"),
        ({"pixel_spacing": (1.0, 1.0)}, "have another pixel spacing"),
        ({"velocity": True}, "show velocities"),
        ({"samples": 3}, "are of another kind"),
        ({"pixel_spacing": (-1.0, 1.0)}, "cannot be placed: their grid is not known or cannot be"),
    ],
)
def test_other_images_of_the_series_are_left_out(
    make_frame: Make, make_frames: MakeMany, changes: dict[str, Any], difference: str
) -> None:
    groups = group_images([*make_frames(), make_frame(5, **changes)])
    stack = build_stack(groups[0], groups, "study", "")
    assert f"1 image of the series {difference}" in told(stack)
    assert stack.shape[2] == 4


def test_images_of_other_series_are_no_problem(make_frame: Make, make_frames: MakeMany) -> None:
    groups = group_images([*make_frames(), make_frame(5, series_uid="1.9", rows=5)])
    assert build_stack(groups[0], groups, "study", "").repairs == ()

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd, Spacing, Spacingd

from pipeline.transforms import SpacingInPlane, SpacingInPlaned
from pipeline.transforms.spacing import resample_slices, resample_varying


def oblique_affine() -> torch.Tensor:
    """Columns 1.4 mm, rows 1.8 mm, slices 8 mm, about an oblique axis."""
    x, y, z = np.array([2, 1, 2]) / 3
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(3) + np.sin(0.4) * cross + (1 - np.cos(0.4)) * cross @ cross
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([1.4, -1.8, 8.0])
    affine[:3, 3] = [12, -30, 7]
    return torch.as_tensor(affine)


def stack(channels: int = 1, shape: tuple[int, int, int] = (23, 31, 4)) -> MetaTensor:
    voxels = torch.rand(channels, *shape, generator=torch.Generator().manual_seed(0))
    return MetaTensor(voxels, affine=oblique_affine(), meta={"filename_or_obj": "a.nii.gz"})


def test_half_the_size_gives_the_pixels_and_the_means_between() -> None:
    image = torch.tensor([0.0, 2.0, 6.0]).view(1, 3, 1, 1).expand(1, 3, 3, 2)
    made = SpacingInPlane([0.5, 1.0, -1])(image)
    assert made.shape == (1, 5, 3, 2)
    assert made[0, :, 1, 1].tolist() == pytest.approx([0, 1, 2, 4, 6], abs=1e-5)


def test_nearest_makes_no_new_values() -> None:
    label = torch.tensor([0, 3, 1], dtype=torch.uint8).view(1, 1, 3, 1)
    made = SpacingInPlane([1, 0.4, -1], mode="nearest")(label)
    # at 0, 0.4, 0.8, 1.2, 1.6, 2
    assert made[0, 0, :, 0].tolist() == [0, 0, 3, 3, 1, 1]


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
# sizes that put no pixel midway between two others, where the nearest is a matter of rounding
@pytest.mark.parametrize("pixdim", [[1.23, 1.27, -1.0], [2.13, 0.91, -1.0]])
def test_pixels_and_grid_are_those_of_monai(pixdim: list[float], mode: str) -> None:
    ours, monai = SpacingInPlane(pixdim, mode)(stack(2)), Spacing(pixdim, mode=mode)(stack(2))
    torch.testing.assert_close(ours.as_tensor(), monai.as_tensor(), rtol=0, atol=1e-4)
    torch.testing.assert_close(ours.affine, monai.affine, rtol=0, atol=1e-9)


@pytest.mark.parametrize("nearest", [True, False])
def test_inverse_is_that_of_monai(nearest: bool) -> None:
    inverted = []
    for transform in (SpacingInPlaned, Spacingd):
        forward = Compose([transform(keys="image", pixdim=[1.25, 1.25, -1.0], mode="bilinear")])
        item = forward({"image": stack()})
        item["pred"] = MetaTensor(torch.cat([item["image"], 1 - item["image"]]).as_tensor()).copy_meta_from(
            item["image"]
        )
        back = Invertd("pred", forward, orig_keys="image", nearest_interp=nearest, to_tensor=True)
        inverted.append(back(item)["pred"])
    ours, monai = inverted
    assert ours.shape == (2, 23, 31, 4)
    torch.testing.assert_close(ours.as_tensor(), monai.as_tensor(), rtol=0, atol=1e-4)
    torch.testing.assert_close(ours.affine, oblique_affine(), rtol=0, atol=1e-9)


def test_each_key_has_its_mode_and_the_input_stays() -> None:
    item = {"image": stack(), "label": (stack() > 0.5).float()}
    made = SpacingInPlaned(["image", "label"], [1.25, 1.25, -1], ["bilinear", "nearest"])(item)
    assert set(made["label"].unique().tolist()) == {0, 1}
    assert len(made["image"].unique()) > 1000
    assert item["image"].shape == (1, 23, 31, 4)
    assert item["image"].applied_operations == []


def test_stack_that_has_the_size_stays_as_it_is() -> None:
    image = stack()
    made = SpacingInPlane([1.4, 1.8, -1])(image)
    torch.testing.assert_close(made.as_tensor(), image.as_tensor(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("pixdim", [[1.25, 1.25], [0, 1, -1], [1.25, 1.25, 8.0]])
def test_wrong_pixdim_is_refused_with_the_way_out(pixdim: list[float]) -> None:
    with pytest.raises(ValueError, match=r"pixdim must be the size of a pixel .* got \[.*MONAI's Spacing resamples"):
        SpacingInPlane(pixdim)


def test_other_modes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"mode must be one of \('bilinear', 'nearest'\), got 'bicubic'"):
        SpacingInPlaned("image", [1, 1, -1], mode="bicubic")


@pytest.mark.parametrize("step", [0.61, 0.8, 1.0, 1.37, 2.5])
@pytest.mark.parametrize(
    "inside",
    [
        (slice(9, 17), slice(12, 20)),
        (slice(0, 5), slice(28, 31)),  # at the borders
        (slice(0, 23), slice(0, 31)),
        (slice(22, 23), slice(0, 1)),  # one pixel, in a corner
        (slice(5, 5), slice(0, 0)),  # none: all are the same
    ],
)
def test_what_is_constant_around_the_heart_is_not_computed_and_the_same(
    inside: tuple[slice, slice], step: float
) -> None:
    image = torch.tensor([0.25, 0.75]).view(2, 1, 1, 1).expand(2, 23, 31, 4).clone()
    window = image[:, inside[0], inside[1]]
    window[:] = torch.rand(window.shape, generator=torch.Generator().manual_seed(0))
    size = [round(22 / step) + 3, round(30 / step) + 1]  # along x beyond the end
    made = resample_varying(image, size, [step, step])
    torch.testing.assert_close(made, resample_slices(image, size, [step, step]), rtol=0, atol=2e-5)


def test_window_is_sampled_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sampled: list[tuple[int, ...]] = []

    def spy(part: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        sampled.append(tuple(part.shape))
        return resample_slices(part, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("pipeline.transforms.spacing.resample_slices", spy)
    image = torch.zeros(1, 100, 80, 2)
    image[:, 40:50, 10:30] = 1
    made = resample_varying(image, [50, 40], [2.0, 2.0])
    # the pixels from one before to one behind the window
    assert sampled == [(1, 12, 22, 2)]
    assert made[0, :, :, 0].sum() == 5 * 10

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd, LoadImage, SpatialPadd

from pipeline.errors import InputError
from pipeline.transforms.orientation import OrientInPlane, OrientInPlaned, in_plane_ornt

SHAPE = (4, 3, 2)


def affine_of(codes: str, spacing: tuple[float, float, float] = (1.5, 2.0, 8.0)) -> np.ndarray:
    """Affine whose array axes run toward ``codes``; the third spacing is that of the slices."""
    signs = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    affine = np.zeros((4, 4))
    for axis, code in enumerate(codes):
        world, sign = signs[code]
        affine[world, axis] = sign * spacing[axis]
    affine[:, 3] = [10, -20, 30, 1]
    return affine


def oblique(affine: np.ndarray, degrees: float = 25.0) -> np.ndarray:
    """Turn the world about an oblique axis, by less than 45 degrees, so that the closest directions stay."""
    x, y, z = np.array([1, 2, 2]) / 3
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(4)
    angle = np.radians(degrees)
    turn[:3, :3] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turn @ affine


def stack(affine: np.ndarray, shape: tuple[int, ...] = SHAPE) -> MetaTensor:
    voxels = torch.arange(float(np.prod(shape))).reshape(1, *shape)
    return MetaTensor(voxels, affine=torch.as_tensor(affine), meta={"filename_or_obj": "a.nii.gz"})


def world_of_value(img: torch.Tensor, value: float) -> np.ndarray:
    index = torch.nonzero(img[0] == value)[0].tolist()
    return img.affine.numpy() @ [*index, 1]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ("LPS", "LPS"),  # ACDC
        ("LPI", "LPI"),  # the slice axis keeps its direction
        ("RAS", "LPS"),
        ("PLS", "LPS"),
        ("ARI", "LPI"),
        ("LSA", "LIA"),  # slices along A: columns to L, rows to I
        ("SRP", "LIP"),
        ("PIL", "PIL"),  # slices along L: columns to P, rows to I
        ("SAR", "PIR"),
    ],
)
@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_axes_run_to_l_before_p_before_i_and_slices_stay_last(codes: str, expected: str, degrees: float) -> None:
    oriented = OrientInPlane()(stack(oblique(affine_of(codes), degrees)))
    assert "".join(nib.aff2axcodes(oriented.affine.numpy())) == expected
    assert oriented.shape[-1] == 2


def test_acdc_stays_as_it_is() -> None:
    img = stack(np.diag([-1.56, -1.56, 10.0, 1.0]))
    oriented = OrientInPlane()(img)
    assert torch.equal(oriented, img)
    assert torch.equal(oriented.affine, img.affine)


@pytest.mark.realdata
def test_real_acdc_stays_as_it_is(real_data_dir: Path) -> None:
    path = real_data_dir / "acdc" / "training" / "patient001" / "patient001_frame01.nii.gz"
    img = LoadImage(ensure_channel_first=True)(path)
    oriented = OrientInPlane()(img)
    assert torch.equal(oriented, img)
    assert torch.equal(oriented.affine, img.affine)


def test_slice_axis_that_comes_first_goes_last() -> None:
    oriented = OrientInPlane()(stack(affine_of("SLP", spacing=(8.0, 1.5, 2.0)), shape=(2, 4, 3)))
    assert oriented.shape == (1, 4, 3, 2)
    np.testing.assert_allclose(oriented.affine.norm(dim=0)[:3], [1.5, 2.0, 8.0])


@pytest.mark.parametrize("codes", ["RAS", "SRP", "ASR"])
def test_voxels_stay_where_they_are_in_the_patient(codes: str) -> None:
    img = stack(oblique(affine_of(codes)))
    oriented = OrientInPlane()(img)
    for value in (0, 7, 23):
        np.testing.assert_allclose(world_of_value(oriented, value), world_of_value(img, value))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_inverse_restores_voxels_and_grid(order: tuple[int, int, int]) -> None:
    img = stack(oblique(affine_of("RAS"))[:, [*order, 3]])
    orient = OrientInPlane()
    restored = orient.inverse(orient(img))
    assert torch.equal(restored, img)
    torch.testing.assert_close(restored.affine, img.affine)
    assert restored.applied_operations == []


@pytest.mark.parametrize("noise", [-1e-7, 1e-7])
def test_rounding_of_the_header_does_not_decide_at_45_degrees(noise: float) -> None:
    affine = np.diag([1.5, 1.5, 8.0, 1.0])
    affine[:2, :2] = 1.5 * np.array([[np.sqrt(0.5), -np.sqrt(0.5)], [np.sqrt(0.5), np.sqrt(0.5)]])
    shaken = affine + noise * np.arange(16).reshape(4, 4)
    np.testing.assert_array_equal(in_plane_ornt(affine), in_plane_ornt(shaken))


def test_lps_world_is_understood() -> None:
    to_lps = np.diag([-1, -1, 1, 1])
    img = stack(to_lps @ oblique(affine_of("RAS")))
    img.meta["space"] = "LPS"
    oriented = OrientInPlane()(img)
    assert torch.equal(oriented, OrientInPlane()(stack(oblique(affine_of("RAS")))))
    np.testing.assert_allclose(
        to_lps @ oriented.affine.numpy(), OrientInPlane()(stack(oblique(affine_of("RAS")))).affine
    )


def test_plain_tensor_has_the_identity_as_affine() -> None:
    voxels = torch.arange(24.0).reshape(1, *SHAPE)
    assert torch.equal(OrientInPlane()(voxels), voxels.flip(1, 2))


def test_input_is_untouched() -> None:
    img = stack(affine_of("ASR"))
    before, affine = img.clone(), img.affine.clone()
    OrientInPlane()(img)
    assert torch.equal(img, before)
    assert torch.equal(img.affine, affine)
    assert img.applied_operations == []


def test_dictionary_form_equals_array_form() -> None:
    item = {"image": stack(affine_of("ASR")), "label": stack(affine_of("ASR")), "case_id": "a"}
    oriented = OrientInPlaned(["image", "label"])(item)
    assert torch.equal(oriented["image"], OrientInPlane()(item["image"]))
    assert torch.equal(oriented["label"], oriented["image"])
    assert oriented["case_id"] == "a"


def test_dictionary_form_inverts() -> None:
    orient = OrientInPlaned("image")
    item = {"image": stack(affine_of("ASR"))}
    assert torch.equal(orient.inverse(orient(item))["image"], item["image"])


def test_prediction_is_brought_back_by_invertd() -> None:
    transform = Compose([OrientInPlaned("image"), SpatialPadd("image", (8, 8, 8))])
    item = {"image": stack(oblique(affine_of("SRP")))}
    oriented = transform(item)
    oriented["pred"] = MetaTensor(oriented["image"].as_tensor().clone())
    pred = Invertd("pred", transform, orig_keys="image")(oriented)["pred"]
    assert torch.equal(pred.as_tensor(), item["image"].as_tensor())
    torch.testing.assert_close(pred.affine, item["image"].affine)


@pytest.mark.parametrize("column", [[0, 0, 0, 0], [1.5, 0, 0, 0]])
def test_singular_affine_is_refused(column: list[float]) -> None:
    affine = np.diag([1.5, 2.0, 8.0, 1.0])
    affine[:, 1] = column
    with pytest.raises(InputError, match=r"a.nii.gz has no usable orientation: the axes of the affine must span"):
        OrientInPlane()(stack(affine))

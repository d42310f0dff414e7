from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy.ndimage import gaussian_filter

from pipeline.metrics.surface import penalty_mm, surface_distances

SPACING_MM = (1.5, 1.5, 10.0)
# A box of 10 x 10 x 3 voxels has 8 x 8 x 1 inside: 300 - 64 voxels are surface.
SURFACE_VOXELS = 236


def box(start: tuple[int, int, int]) -> np.ndarray:
    volume = np.zeros((20, 20, 8), dtype=bool)
    volume[tuple(slice(first, first + size) for first, size in zip(start, (10, 10, 3), strict=True))] = True
    return volume


def blob(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(40, 36, 9))
    return gaussian_filter(noise, (5, 5, 1)) > 0.01


def test_surface_has_the_voxels_that_touch_the_outside() -> None:
    distances = surface_distances(box((4, 4, 2)), box((4, 4, 2)), SPACING_MM)
    assert distances.pred_to_label_mm.tolist() == [0.0] * SURFACE_VOXELS


def test_assd_of_boxes_two_voxels_apart_in_plane() -> None:
    # 30 voxels of the far face are 3.0 mm out, 22 of the layer before it 1.5 mm; of the near face, 8 are inside the
    # other box, 6 of them 3.0 mm from its surface and 2 beside its edge 1.5 mm. All others are shared.
    distances = surface_distances(box((6, 4, 2)), box((4, 4, 2)), SPACING_MM)
    assert distances.assd_mm == pytest.approx((36 * 3.0 + 24 * 1.5) / SURFACE_VOXELS)


def test_hd95_of_boxes_two_voxels_apart_in_plane() -> None:
    assert surface_distances(box((6, 4, 2)), box((4, 4, 2)), SPACING_MM).hd95_mm == pytest.approx(3.0)


def test_assd_of_boxes_one_slice_apart() -> None:
    # The outer slice: 100 voxels at 10 mm. The inner one lies on the other's middle slice: its 64 voxels off the rim
    # are 1.5 (28), 3.0 (20), 4.5 (12) and 6.0 mm (4) from it: 180 mm in all.
    distances = surface_distances(box((4, 4, 3)), box((4, 4, 2)), SPACING_MM)
    assert distances.assd_mm == pytest.approx((100 * 10.0 + 180.0) / SURFACE_VOXELS)


def test_hd95_of_boxes_one_slice_apart() -> None:
    assert surface_distances(box((4, 4, 3)), box((4, 4, 2)), SPACING_MM).hd95_mm == pytest.approx(10.0)


def test_hd95_takes_the_larger_direction() -> None:
    label = np.zeros((40, 1), dtype=bool)
    label[0] = True
    pred = label.copy()
    pred[30] = True
    assert surface_distances(pred, label, (1.0, 1.0)).hd95_mm == pytest.approx(0.95 * 30)


def test_assd_weighs_voxels_of_both_surfaces_alike() -> None:
    label = np.zeros((40, 1), dtype=bool)
    label[0] = True
    pred = label.copy()
    pred[30] = True
    assert surface_distances(pred, label, (1.0, 1.0)).assd_mm == pytest.approx(30 / 3)


def test_image_border_is_surface() -> None:
    full = np.ones((5, 5), dtype=bool)
    assert surface_distances(full, full, (1.0, 1.0)).pred_to_label_mm.size == 16


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_hd95_equals_monai(seed: int) -> None:
    pred, label = blob(seed), blob(seed + 10)
    batches = [torch.from_numpy(mask)[None, None].float() for mask in (pred, label)]
    expected = compute_hausdorff_distance(*batches, include_background=True, percentile=95, spacing=list(SPACING_MM))
    assert surface_distances(pred, label, SPACING_MM).hd95_mm == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_assd_equals_monai(seed: int) -> None:
    pred, label = blob(seed), blob(seed + 10)
    batches = [torch.from_numpy(mask)[None, None].float() for mask in (pred, label)]
    expected = compute_average_surface_distance(
        *batches, include_background=True, symmetric=True, spacing=list(SPACING_MM)
    )
    assert surface_distances(pred, label, SPACING_MM).assd_mm == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("empty", ["pred", "label"])
def test_empty_mask_has_no_surface(empty: str) -> None:
    masks = {"pred": box((4, 4, 2)), "label": box((4, 4, 2))}
    masks[empty] = np.zeros_like(masks[empty])
    with pytest.raises(ValueError, match="both pred and label, got an empty mask"):
        surface_distances(masks["pred"], masks["label"], SPACING_MM)


def test_penalty_is_the_diagonal() -> None:
    assert penalty_mm((20, 40, 9), (1.5, 1.0, 10.0)) == pytest.approx((30**2 + 40**2 + 90**2) ** 0.5)

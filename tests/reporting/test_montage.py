from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from pipeline.labels import Structure
from pipeline.reporting.montage import MAX_SLICES, PICTURE_PIXELS, THUMBNAIL_PIXELS, montage, thumbnail

# columns run to the patient's left and back, as on a viewer
AFFINE = np.diag([-2.0, -4.0, 10.0, 1.0])


def heart(areas: tuple[int, ...] = (8, 6, 4, 2)) -> np.ndarray:
    """A mask (60, 40, slices) whose LV is a square of so many voxels a side in each slice."""
    mask = np.zeros((60, 40, len(areas)), dtype=np.uint8)
    for index, side in enumerate(areas):
        mask[30 : 30 + side, 20 : 20 + side, index] = Structure.LV
    return mask


def image_of(mask: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).normal(100.0, 20.0, mask.shape).astype(np.float32)


def pixels(picture: str) -> np.ndarray:
    data = base64.b64decode(picture.removeprefix("data:image/jpeg;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("areas", "order"),
    [
        ((8, 6, 4, 2), [1, 2, 3, 4]),
        ((2, 4, 6, 8), [4, 3, 2, 1]),
        ((0, 0, 8, 2, 0, 0), [2, 3, 4, 5]),
        ((8, 0, 2), [1, 2, 3]),
        ((0, 0), [1, 2]),
    ],
)
def test_slices_run_from_base_to_apex(areas: tuple[int, ...], order: list[int]) -> None:
    mask = heart(areas)
    assert [panel.number for panel in montage([image_of(mask)], [mask], AFFINE)[0]] == order


def test_phases_share_slices_and_crop() -> None:
    large, small = heart((8, 6, 4)), heart((4, 0, 0))
    ed, es = montage([image_of(large)] * 2, [large, small], AFFINE)
    assert [panel.number for panel in ed] == [panel.number for panel in es] == [1, 2, 3]
    assert {(panel.width_mm, panel.height_mm) for panel in (*ed, *es)} == {(72.0, 72.0)}  # 8 x 4 mm + 2 x 20 mm


def test_outline_lies_on_the_border_in_mm() -> None:
    mask = heart((4,))
    panel = montage([image_of(mask)], [mask], AFFINE)[0][0]
    x, y = np.array(re.findall(r"(-?[\d.]+),(-?[\d.]+)", panel.outlines[0].path), dtype=float).T
    # 4 voxels of 2 mm across, 4 of 4 mm down, in a view of 16 + 2 x 20 mm
    assert (x.min(), x.max()) == (24.0, 32.0)
    assert (y.min(), y.max()) == (20.0, 36.0)


def test_outlines_name_the_structures_that_are_there() -> None:
    mask = heart((4,))
    mask[20:24, 20:24, 0] = Structure.RV
    panel = montage([image_of(mask)], [mask], AFFINE, [mask])[0][0]
    assert [outline.key for outline in panel.outlines] == ["rv", "lv", "label"]
    assert panel.description == "Slice 1 of 1 with contours of right ventricle, left ventricle"


def test_border_of_what_touches_the_edge_is_closed() -> None:
    mask = np.full((60, 40, 1), Structure.LV, dtype=np.uint8)
    panel = montage([image_of(mask)], [mask], AFFINE)[0][0]
    assert panel.outlines[0].path.startswith("M")
    assert panel.outlines[0].path.endswith("Z")


def test_bright_pixel_is_where_the_viewer_shows_it() -> None:
    mask = heart((2,))
    image = np.zeros(mask.shape, dtype=np.float32)
    image[30:32, 20:22] = 100.0  # the LV itself
    gray = pixels(montage([image], [mask], AFFINE)[0][0].picture)
    assert gray.shape == (PICTURE_PIXELS, PICTURE_PIXELS)
    rows, columns = np.nonzero(gray > 128)
    # 2 x 4 voxels of 2 x 4 mm in a view of 48 mm: 4 mm wide, 8 mm high, in the middle
    assert (columns.mean(), rows.mean()) == pytest.approx((99.5, 99.5), abs=6)
    assert np.ptp(rows) > 1.5 * np.ptp(columns)


def test_many_slices_are_thinned_evenly() -> None:
    mask = heart(tuple(range(30, 6, -1)))
    numbers = [panel.number for panel in montage([image_of(mask)], [mask], AFFINE)[0]]
    assert len(numbers) == MAX_SLICES
    assert (numbers[0], numbers[-1]) == (1, 24)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_image_without_contrast_is_drawn(value: float) -> None:
    mask = heart((4,))
    assert pixels(montage([np.full(mask.shape, value)], [mask], AFFINE)[0][0].picture).max() <= 255


def test_thumbnail_is_the_middle_slice() -> None:
    mask = heart((8, 7, 6, 5, 4))
    panel = thumbnail(image_of(mask), mask, AFFINE, mask)
    assert panel.number == 3
    assert pixels(panel.picture).shape == (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS)


def test_masks_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must all be \(X, Y, Z\) of one shape, got \[\(60, 40, 1\), \(60, 40, 2\)\]"):
        montage([image_of(heart((4,)))], [heart((4, 4))], AFFINE)


def test_phase_without_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="got 1 images, 0 masks and 0 labels"):
        montage([image_of(heart((4,)))], [], AFFINE)

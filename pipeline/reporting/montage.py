"""The slices of a heart as small pictures with contours, for a page: one gray picture and a few paths a slice."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from contourpy import LineType, contour_generator
from numpy.typing import NDArray
from PIL import Image

from pipeline.labels import FOREGROUND, Structure
from pipeline.reporting.overlay import MARGIN_MM, MAX_SLICES, STRUCTURE_NAMES, WINDOW_PERCENTILES, as_displayed

PICTURE_PIXELS = 200
"""Longer side of a slice's picture: about its size on the screen."""

THUMBNAIL_PIXELS = 120
JPEG_QUALITY = 85

Volume = NDArray[Any]


@dataclass(frozen=True)
class Outline:
    """Border of one structure: the key of the structure (``"lv"``, or ``"label"`` for the expert's) and an SVG path."""

    key: str
    path: str


@dataclass(frozen=True)
class Panel:
    """One slice, cropped to the heart.

    Attributes:
        number: of the slice within the file, from 1.
        width_mm: of the view; the outlines are in mm from its upper left corner.
        height_mm: of the view.
        picture: JPEG as ``data:`` URI.
        outlines: of the structures that the slice holds.
        description: what the slice shows, for those who cannot see it.
    """

    number: int
    width_mm: float
    height_mm: float
    picture: str
    outlines: tuple[Outline, ...]
    description: str


@dataclass(frozen=True)
class _View:
    """Which slices are shown, from base to apex, which part of each, how large a pixel and which gray window."""

    slices: tuple[int, ...]
    box: tuple[slice, slice]
    spacing_mm: tuple[float, float]
    window: tuple[float, float]
    pixels: int


def montage(
    images: Sequence[Volume],
    masks: Sequence[Volume],
    affine: Volume,
    labels: Sequence[Volume] = (),
    max_slices: int = MAX_SLICES,
    pixels: int = PICTURE_PIXELS,
) -> list[tuple[Panel, ...]]:
    """Draw phases of a stack by the same slices, the same crop and the same gray window.

    Shown are the slices from the first to the last that holds a structure in any of the phases, and one more at each
    end, so that a reader sees what was left out; from base to apex, at most ``max_slices``, evenly spread. Where no
    mask holds anything, all slices are shown whole.

    Args:
        images: one array (X, Y, Z) a phase, any unit.
        masks: integer arrays of the same shape, values 0 to 3.
        affine: 4x4, from voxel indices to mm.
        labels: the experts' masks, one a phase, drawn as dashed white borders; empty where there are none.
        max_slices: at most so many.
        pixels: longer side of a picture.

    Returns:
        The panels of each phase.

    Raises:
        ValueError: there is no phase, a phase lacks its mask or label, or shapes differ.
    """
    _check(images, masks, labels)
    shown, spacing = as_displayed(np.asarray(affine), *images, *masks, *labels)
    count = len(images)
    images, masks, labels = shown[:count], shown[count : 2 * count], shown[2 * count :]
    held = np.max(np.stack([*masks, *labels]), axis=0)
    view = _choose_view(images, held, (spacing[0], spacing[1]), max_slices, pixels)
    return [
        tuple(
            _panel(images[phase], masks[phase], labels[phase] if labels else None, index, view) for index in view.slices
        )
        for phase in range(count)
    ]


def thumbnail(image: Volume, mask: Volume, affine: Volume, label: Volume | None = None) -> Panel:
    """Draw the middle slice of a heart, small.

    Args:
        image: array (X, Y, Z), any unit.
        mask: integer array of the same shape, values 0 to 3.
        affine: 4x4, from voxel indices to mm.
        label: the expert's mask, or None.

    Returns:
        The slice halfway from base to apex.
    """
    panels = montage([image], [mask], affine, [] if label is None else [label], max_slices=3, pixels=THUMBNAIL_PIXELS)[
        0
    ]
    return panels[len(panels) // 2]


def _check(images: Sequence[Volume], masks: Sequence[Volume], labels: Sequence[Volume]) -> None:
    if not images or len(masks) != len(images) or len(labels) not in (0, len(images)):
        raise ValueError(
            f"Each phase needs an image and a mask, and a label in all phases or none, got {len(images)} images, "
            f"{len(masks)} masks and {len(labels)} labels."
        )
    shapes = {volume.shape for volume in (*images, *masks, *labels)}
    if len(shapes) > 1 or len(next(iter(shapes))) != 3:
        raise ValueError(f"images, masks and labels must all be (X, Y, Z) of one shape, got {sorted(shapes)}.")


def _choose_view(
    images: Sequence[Volume], held: Volume, spacing_mm: tuple[float, float], max_slices: int, pixels: int
) -> _View:
    slices = _base_to_apex(held)
    spread = np.linspace(0, len(slices) - 1, min(max_slices, len(slices))).round().astype(int)
    box = _square_box(held, spacing_mm)
    crop = np.stack([image[box][..., slices] for image in images])
    finite = crop[np.isfinite(crop)]
    low, high = np.percentile(finite, WINDOW_PERCENTILES) if finite.size else (0.0, 1.0)
    return _View(tuple(slices[place] for place in spread), box, spacing_mm, (float(low), float(high)), pixels)


def _base_to_apex(held: Volume) -> list[int]:
    """Return the slices of the heart and one more at each end; the end with less of it, the apex, is last."""
    areas = np.count_nonzero(held, axis=(0, 1))
    filled = np.flatnonzero(areas)
    if not filled.size:
        return list(range(held.shape[2]))
    slices = list(range(max(0, int(filled[0]) - 1), min(held.shape[2], int(filled[-1]) + 2)))
    half = filled.size // 2
    if areas[filled[:half]].sum() < areas[filled[filled.size - half :]].sum():
        slices.reverse()
    return slices


def _square_box(held: Volume, spacing_mm: tuple[float, float]) -> tuple[slice, slice]:
    """Return the part around the heart: as wide as high in mm, as far as the image reaches."""
    positions = np.nonzero(held.any(axis=2))
    if not positions[0].size:
        return slice(0, held.shape[0]), slice(0, held.shape[1])
    ends = [(int(axis.min()), int(axis.max()) + 1) for axis in positions]
    side_mm = max((high - low) * step for (low, high), step in zip(ends, spacing_mm, strict=True)) + 2 * MARGIN_MM
    across, down = (
        _centered(low, high, side_mm / step, size)
        for (low, high), step, size in zip(ends, spacing_mm, held.shape[:2], strict=True)
    )
    return across, down


def _centered(low: int, high: int, length: float, size: int) -> slice:
    start = round((low + high - length) / 2)
    return slice(max(0, start), min(size, start + round(length)))


def _panel(image: Volume, mask: Volume, label: Volume | None, index: int, view: _View) -> Panel:
    crop, inside = image[view.box][..., index], mask[view.box][..., index]
    outlines = [Outline(structure.key, _path(inside == structure, view.spacing_mm)) for structure in FOREGROUND]
    if label is not None:
        outlines.append(Outline("label", _label_path(label[view.box][..., index], view.spacing_mm)))
    width_mm, height_mm = (size * step for size, step in zip(crop.shape, view.spacing_mm, strict=True))
    return Panel(
        number=index + 1,
        width_mm=round(width_mm, 1),
        height_mm=round(height_mm, 1),
        picture=_picture(crop, width_mm, height_mm, view),
        outlines=tuple(outline for outline in outlines if outline.path),
        description=_describe(inside, index + 1, mask.shape[2]),
    )


def _picture(crop: Volume, width_mm: float, height_mm: float, view: _View) -> str:
    low, high = view.window
    gray = np.clip((np.nan_to_num(crop, nan=low) - low) / max(high - low, 1e-9), 0, 1) * 255
    scale = view.pixels / max(width_mm, height_mm)
    size = (max(1, round(width_mm * scale)), max(1, round(height_mm * scale)))
    # arrays are indexed x first, pictures row first
    picture = Image.fromarray(gray.T.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _path(inside: Volume, spacing_mm: tuple[float, float]) -> str:
    """Return the border of a mask (x, y) as an SVG path in mm; empty where the mask is."""
    if not inside.any():
        return ""
    # a frame of background closes the borders of what touches the edge
    framed = np.pad(inside.T, 1).astype(np.float64)
    down, across = ((np.arange(size) - 0.5) * step for size, step in zip(framed.shape, spacing_mm[::-1], strict=True))
    contours = contour_generator(across, down, framed, line_type=LineType.Separate)
    lines = cast(list[NDArray[np.float64]], contours.lines(0.5))
    return "".join("M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in line[:-1]) + "Z" for line in lines)


def _label_path(label: Volume, spacing_mm: tuple[float, float]) -> str:
    # each border once: dashes of two paths on one border would fill each other's gaps
    borders = (label == Structure.LV, np.isin(label, (Structure.MYO, Structure.LV)), label == Structure.RV)
    return "".join(_path(border, spacing_mm) for border in borders)


def _describe(inside: Volume, number: int, count: int) -> str:
    names = [STRUCTURE_NAMES[structure] for structure in FOREGROUND if (inside == structure).any()]
    return f"Slice {number} of {count} with contours of {', '.join(names) if names else 'nothing'}"

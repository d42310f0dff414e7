"""Pictures of a segmentation on its scan: all slices of a stack side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import NDArray

from pipeline.files import atomic_path
from pipeline.geometry import slice_axis
from pipeline.geometry import spacing_mm as affine_spacing_mm
from pipeline.labels import FOREGROUND, Structure

# Sky blue, yellow and vermilion of Okabe and Ito's set (https://jfly.uni-koeln.de/color/): apart in hue and in
# lightness for every kind of color vision.
STRUCTURE_COLORS: dict[Structure, str] = {Structure.RV: "#56B4E9", Structure.MYO: "#F0E442", Structure.LV: "#D55E00"}
STRUCTURE_NAMES: dict[Structure, str] = {
    Structure.RV: "right ventricle",
    Structure.MYO: "myocardium",
    Structure.LV: "left ventricle",
}

MAX_SLICES = 12
MARGIN_MM = 20.0
WINDOW_PERCENTILES = (1.0, 99.5)
FILL_OPACITY = 0.22
LABEL_LINE_WIDTH = 0.9
LABEL_DASHES = (0, (2.5, 1.8))
DOTS_PER_INCH = 150

_BACKGROUND, _TEXT = "#101010", "#EDEDED"
_PANEL_WIDTH_IN, _HEADER_IN, _FOOTER_IN = 2.0, 0.42, 0.38
_MAX_COLUMNS = 5


@dataclass(frozen=True)
class _View:
    """What the montage shows: which slices, which part of each, and at which spacing (x, y) in mm."""

    slices: tuple[int, ...]
    box: tuple[slice, slice]
    spacing_mm: tuple[float, float]

    @property
    def aspect(self) -> float:
        """Height of a pixel over its width."""
        return self.spacing_mm[1] / self.spacing_mm[0]

    @property
    def height_over_width(self) -> float:
        """Height of a panel over its width."""
        width, height = (side.stop - side.start for side in self.box)
        return self.aspect * height / width


def save_overlay(
    path: str | Path,
    image: NDArray[Any],
    pred: NDArray[Any],
    label: NDArray[Any] | None = None,
    *,
    spacing_mm: Sequence[float],
    title: str = "",
) -> Path:
    """Write a montage of the slices that hold a structure, cropped around the heart.

    The image is grey, windowed by its percentiles within the crop; the prediction is a translucent fill with a contour,
    one color a structure; the label, where given, a dashed white contour. Array axis 0 runs to the right, axis 1 down,
    as in DICOM; bring other orders into it by ``as_displayed``. At most ``MAX_SLICES`` slices, evenly spread, numbered
    from 1. Where neither mask holds anything, whole slices are shown.

    Args:
        path: PNG file, written atomically; missing folders are made.
        image: intensities (X, Y, Z) or (X, Y), any unit.
        pred: integer array of the same shape, values 0 to 3.
        label: the same, or None for a scan without label.
        spacing_mm: size of a voxel along each axis, in mm.
        title: a line above the montage, e.g. the case's name and Dice.

    Returns:
        The path written.

    Raises:
        ValueError: the shapes differ, are neither 2D nor 3D, or do not fit the spacing.

    Source:
        Okabe and Ito, Color Universal Design, for the colors.
    """
    _check_shapes(image, pred, label, spacing_mm)
    image, pred = np.atleast_3d(image), np.atleast_3d(pred)
    label = None if label is None else np.atleast_3d(label)
    view = _choose_view(pred if label is None else np.maximum(pred, label), spacing_mm)
    figure = _draw(image, pred, label, view, title)
    with atomic_path(Path(path)) as partial:
        figure.savefig(partial, dpi=DOTS_PER_INCH, facecolor=_BACKGROUND)
    return Path(path)


def as_displayed(affine: NDArray[Any], *volumes: NDArray[Any]) -> tuple[list[NDArray[Any]], list[float]]:
    """Reorder volumes for display: slices last, and axes that run as on a DICOM viewer.

    A viewer shows the patient's left on the right, posterior and feet at the bottom. Each in-plane axis is flipped
    where its largest world component runs the other way (files that store rows bottom up). Axes are not swapped.

    Args:
        affine: 4x4 matrix from voxel indices to mm, of all the volumes.
        volumes: arrays (X, Y, Z) or (X, Y), all of one shape.

    Returns:
        The volumes as views, and the spacing of their axes in mm.
    """
    ndim = volumes[0].ndim
    spacing = [float(value) for value in affine_spacing_mm(affine)[:ndim]]
    through = slice_axis(affine) if ndim == 3 else ndim
    order = [axis for axis in range(ndim) if axis != through] + ([through] if ndim == 3 else [])
    flips = tuple(place for place, axis in enumerate(order[:2]) if _runs_backwards(np.asarray(affine)[:3, axis]))
    shown = [np.flip(volume.transpose(order), flips) for volume in volumes]
    return shown, [spacing[axis] for axis in order]


def _runs_backwards(direction: NDArray[Any]) -> bool:
    # NIfTI's world axes point to the patient's right-to-left, posterior-to-anterior and feet-to-head: all three against
    # the way a viewer's columns and rows run.
    return bool(direction[np.abs(direction).argmax()] > 0)


def _check_shapes(
    image: NDArray[Any], pred: NDArray[Any], label: NDArray[Any] | None, spacing_mm: Sequence[float]
) -> None:
    shapes = {image.shape, pred.shape} | ({label.shape} if label is not None else set())
    if len(shapes) > 1:
        raise ValueError(f"image, pred and label must have the same shape, got {sorted(shapes)}.")
    if pred.ndim not in (2, 3) or len(spacing_mm) != pred.ndim:
        raise ValueError(
            f"pred must be (X, Y, Z) or (X, Y) with a spacing an axis, got {pred.shape} and {len(spacing_mm)} spacings."
        )


def _choose_view(mask: NDArray[Any], spacing_mm: Sequence[float]) -> _View:
    held = np.flatnonzero(mask.any(axis=(0, 1)))
    if not held.size:
        held = np.arange(mask.shape[2])
    spread = np.linspace(0, held.size - 1, min(MAX_SLICES, held.size)).round().astype(int)
    across, down = (_side(mask, axis, spacing_mm[axis]) for axis in (0, 1))
    return _View(
        slices=tuple(int(held[position]) for position in spread),
        box=(across, down),
        spacing_mm=(float(spacing_mm[0]), float(spacing_mm[1])),
    )


def _side(mask: NDArray[Any], axis: int, spacing_mm: float) -> slice:
    size = mask.shape[axis]
    positions = np.nonzero(mask)[axis]
    if not positions.size:
        return slice(0, size)
    margin = int(np.ceil(MARGIN_MM / spacing_mm))
    return slice(max(0, int(positions.min()) - margin), min(size, int(positions.max()) + 1 + margin))


def _draw(image: NDArray[Any], pred: NDArray[Any], label: NDArray[Any] | None, view: _View, title: str) -> Figure:
    rows = -(-len(view.slices) // _MAX_COLUMNS)
    columns = -(-len(view.slices) // rows)
    width = max(columns * _PANEL_WIDTH_IN, 2.5 * _PANEL_WIDTH_IN)
    height = rows * _PANEL_WIDTH_IN * view.height_over_width
    total = height + _HEADER_IN + _FOOTER_IN
    figure = Figure(figsize=(width, total), facecolor=_BACKGROUND)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        rows, columns, left=0, right=1, bottom=_FOOTER_IN / total, top=1 - _HEADER_IN / total, wspace=0.02, hspace=0.02
    )
    cropped = image[view.box]
    window = np.percentile(cropped[np.isfinite(cropped)], WINDOW_PERCENTILES)
    for panel, index in enumerate(view.slices):
        axes = figure.add_subplot(grid[panel // columns, panel % columns])
        _draw_slice(axes, cropped[..., index], view, window)
        _draw_masks(axes, pred[view.box][..., index], None if label is None else label[view.box][..., index], view)
        _number_panel(axes, index + 1)
    _annotate(figure, title, label is not None, total)
    return figure


def _number_panel(axes: Axes, number: int) -> None:
    outline = [Stroke(linewidth=2.0, foreground=_BACKGROUND), Normal()]
    axes.text(
        0.03, 0.97, str(number), color=_TEXT, fontsize=8, va="top", transform=axes.transAxes, path_effects=outline
    )


def _draw_slice(axes: Axes, image: NDArray[Any], view: _View, window: NDArray[Any]) -> None:
    # Arrays are indexed x first, pictures row first: hence the transposes here and below.
    axes.imshow(image.T, cmap="gray", vmin=window[0], vmax=window[1], aspect=view.aspect, interpolation="bicubic")
    axes.set_axis_off()


def _draw_masks(axes: Axes, pred: NDArray[Any], label: NDArray[Any] | None, view: _View) -> None:
    for structure in FOREGROUND:
        inside = np.equal(pred, structure).T
        if inside.any():
            fill = np.zeros((*inside.shape, 4))
            fill[inside] = to_rgba(STRUCTURE_COLORS[structure], FILL_OPACITY)
            axes.imshow(fill, aspect=view.aspect, interpolation="nearest")
            axes.contour(inside, levels=[0.5], colors=[STRUCTURE_COLORS[structure]], linewidths=1.3)
    if label is not None:
        _draw_label(axes, label.T)


def _draw_label(axes: Axes, label: NDArray[Any]) -> None:
    # Each border once: dashes of two contours on one border would fill each other's gaps. So the myocardium's contour
    # is the outer one, and the right ventricle's stops where it touches the left heart.
    left_heart = np.isin(label, (Structure.MYO, Structure.LV))
    right = np.ma.masked_array(np.equal(label, Structure.RV).astype(float), mask=left_heart)
    inner = np.equal(label, Structure.LV)
    fields = [inner, right] + ([left_heart] if np.equal(label, Structure.MYO).any() else [])
    for field in fields:
        if field.any():
            axes.contour(field, levels=[0.5], colors=["white"], linewidths=LABEL_LINE_WIDTH, linestyles=[LABEL_DASHES])


def _annotate(figure: Figure, title: str, with_label: bool, height_in: float) -> None:
    figure.text(0.012, 1 - _HEADER_IN / 2 / height_in, title, color=_TEXT, fontsize=10, va="center")
    handles: list[Patch | Line2D] = [
        Patch(facecolor=to_rgba(color, 0.45), edgecolor=color, label=STRUCTURE_NAMES[structure])
        for structure, color in STRUCTURE_COLORS.items()
    ]
    if with_label:
        handles.append(Line2D([], [], color="white", linewidth=1.0, linestyle=LABEL_DASHES, label="expert label"))
    figure.legend(
        handles=handles,
        loc="center",
        bbox_to_anchor=(0.5, _FOOTER_IN / 2 / height_in),
        ncols=len(handles),
        frameon=False,
        labelcolor=_TEXT,
        fontsize=8,
        handlelength=1.6,
        columnspacing=1.4,
    )

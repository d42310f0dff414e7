"""What may be wrong or merely other with a scan: each change as a small function on image, label and affine.

Those of the image's values leave the label alone; those of the geometry move image and label together. Where a change
has the ending ``, header kept`` the affine stays what it was, as if the orientation had been lost on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A stack as its files describe it.

    Attributes:
        image: intensities ``(X, Y, Z)``.
        label: project labels, on the same grid.
        affine: 4x4, from voxel indices to mm.
    """

    image: Array
    label: NDArray[np.uint8]
    affine: Array

    @property
    def spacing_mm(self) -> Array:
        """Distance of neighboring voxels along each axis."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)


Corruption = Callable[[Case, np.random.Generator], Case]


# --- orientation ----------------------------------------------------------------------------------------------------


def turn(case: Case, rng: np.random.Generator, *, degrees: float) -> Case:
    """Turn the heart in-plane about the center of the field of view; what comes in at the borders is 0."""
    angle = np.deg2rad(degrees)
    in_mm = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    spacing = case.spacing_mm[:2]
    matrix = np.eye(3)
    matrix[:2, :2] = in_mm * spacing / spacing[:, None]
    center = (np.array(case.image.shape) - 1) / 2
    offset = center - matrix @ center
    image, label = (
        ndimage.affine_transform(voxels, matrix, offset, order=order)
        for voxels, order in ((case.image, 1), (case.label, 0))
    )
    return replace(case, image=image, label=label)


def quarter_turns(case: Case, rng: np.random.Generator, *, count: int, keep_affine: bool = False) -> Case:
    """Store the slices turned by ``count`` right angles; the affine says so, unless it is kept."""
    turned = case
    for _ in range(count):
        last = turned.image.shape[1] - 1
        # voxel (i, j) of the turned slice is (j, last - i) of the one before
        index = np.array([[0, 1, 0, 0], [-1, 0, 0, last], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        turned = Case(np.rot90(turned.image), np.rot90(turned.label), turned.affine @ index)
    if not keep_affine:
        return turned
    # a lost orientation keeps the spacings of the axes
    spacing = turned.spacing_mm
    return replace(turned, affine=case.affine @ np.diag([*(spacing / case.spacing_mm), 1.0]))


def mirror(case: Case, rng: np.random.Generator, *, keep_affine: bool = False) -> Case:
    """Store the first axis the other way round; the affine says so, unless it is kept."""
    index = np.diag([-1.0, 1, 1, 1])
    index[0, 3] = case.image.shape[0] - 1
    return Case(case.image[::-1], case.label[::-1], case.affine if keep_affine else case.affine @ index)


# --- sampling -------------------------------------------------------------------------------------------------------


def coarser(case: Case, rng: np.random.Generator, *, factor: float) -> Case:
    """Sample in-plane with ``factor`` times the spacing, smoothed before, as a scan of lower resolution."""
    size = [max(round(n / factor), 1) for n in case.image.shape[:2]]
    step = np.array([n / m for n, m in zip(case.image.shape[:2], size, strict=True)] + [1.0])
    # voxel i of the coarse grid covers those around (i + 1/2) * step - 1/2
    offset = (step - 1) / 2
    smooth = ndimage.gaussian_filter(case.image, [*(0.35 * step[:2]), 0.0])
    shape = (*size, case.image.shape[2])
    image = ndimage.affine_transform(smooth, step, offset, shape, order=1, mode="nearest")
    label = ndimage.affine_transform(case.label, step, offset, shape, order=0, mode="nearest")
    index = np.diag([*step, 1.0])
    index[:3, 3] = offset
    return Case(image, label, case.affine @ index)


def sampled_at(case: Case, rng: np.random.Generator, *, pixel_mm: float) -> Case:
    """Sample in-plane at pixels of one size, as another protocol or its interpolation gives them."""
    return coarser(case, rng, factor=pixel_mm / float(case.spacing_mm[0]))


def every_second_slice(case: Case, rng: np.random.Generator) -> Case:
    """Leave out every second slice."""
    index = np.diag([1.0, 1.0, 2.0, 1.0])
    return Case(case.image[..., ::2], case.label[..., ::2], case.affine @ index)


def shift_slices(case: Case, rng: np.random.Generator, *, sd_mm: float) -> Case:
    """Move each slice in-plane by whole voxels, as breath-holds of different depth do; 0 comes in at the borders."""
    image, label = np.zeros_like(case.image), np.zeros_like(case.label)
    for z in range(case.image.shape[2]):
        voxels = np.rint(rng.normal(0, sd_mm, 2) / case.spacing_mm[:2]).astype(int)
        for source, target in ((case.image, image), (case.label, label)):
            target[..., z] = ndimage.shift(source[..., z], voxels, order=0)
    return replace(case, image=image, label=label)


def tight(case: Case, rng: np.random.Generator, *, margin_mm: float = 10.0) -> Case:
    """Cut the slices to the box around the heart and a margin."""
    inside = np.argwhere(case.label.any(axis=2))
    if not len(inside):
        return case
    margin = np.ceil(margin_mm / case.spacing_mm[:2]).astype(int)
    low = np.maximum(inside.min(axis=0) - margin, 0)
    high = np.minimum(inside.max(axis=0) + margin + 1, case.image.shape[:2])
    index = np.eye(4)
    index[:2, 3] = low
    x, y = (slice(*ends) for ends in zip(low, high, strict=True))
    return Case(case.image[x, y], case.label[x, y], case.affine @ index)


def wide(case: Case, rng: np.random.Generator, *, factor: float = 1.6) -> Case:
    """Enlarge the field of view: air of intensity 0 on all sides."""
    margin = [round(n * (factor - 1) / 2) for n in case.image.shape[:2]]
    padding = [(margin[0], margin[0]), (margin[1], margin[1]), (0, 0)]
    index = np.eye(4)
    index[:2, 3] = [-n for n in margin]
    return Case(np.pad(case.image, padding), np.pad(case.label, padding), case.affine @ index)


# --- intensity ------------------------------------------------------------------------------------------------------


def with_curve(case: Case, curve: Callable[[Array], Array]) -> Case:
    """Map intensities, scaled to [0, 1] between their extremes, by a curve, and scale them back."""
    low, high = case.image.min(), case.image.max()
    span = (high - low) or 1.0
    return replace(case, image=low + span * curve((case.image - low) / span))


def gamma(case: Case, rng: np.random.Generator, *, exponent: float) -> Case:
    """Raise the scaled intensities to a power."""
    return with_curve(case, lambda values: values**exponent)


def invert(case: Case, rng: np.random.Generator) -> Case:
    """Make the bright dark."""
    return with_curve(case, lambda values: 1 - values)


def tone_curve(case: Case, rng: np.random.Generator, *, monotone: bool, knots: int = 6) -> Case:
    """Map intensities by a polygon through random knots: rising, or any; the upper 2 % share the last knot's place."""
    places = np.linspace(0, 1, knots)
    heights = rng.uniform(0, 1, knots)
    if monotone:
        heights = np.sort(heights)
    heights = (heights - heights.min()) / max(np.ptp(heights), 1e-6)
    low, high = np.percentile(case.image, (1, 98))
    scaled = np.clip((case.image - low) / max(high - low, 1e-6), 0, 1)
    return replace(case, image=low + (high - low) * np.interp(scaled, places, heights))


def bias_field(case: Case, rng: np.random.Generator, *, strength: float) -> Case:
    """Multiply by exp(strength * f), f a random plane and saddle in [-1, 1] over the field of view."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in case.image.shape[:2]), indexing="ij")
    terms = (axes[0], axes[1], axes[0] * axes[1], axes[0] ** 2, axes[1] ** 2)
    field = sum(weight * term for weight, term in zip(rng.normal(0, 1, len(terms)), terms, strict=True))
    field = 2 * (field - field.min()) / max(np.ptp(field), 1e-6) - 1
    return replace(case, image=case.image * np.exp(strength * field)[..., None])


def rician(case: Case, rng: np.random.Generator, *, level: float) -> Case:
    """Add complex noise and take the magnitude, as MR does; its sd is ``level`` times the 99th percentile."""
    sd = level * np.percentile(case.image, 99)
    real, imaginary = rng.normal(0, sd, (2, *case.image.shape))
    return replace(case, image=np.hypot(case.image + real, imaginary))


def spikes(case: Case, rng: np.random.Generator, *, share: float = 1e-3, factor: float = 10.0) -> Case:
    """Set a share of the voxels, at least one, to a multiple of the maximum."""
    count = max(round(share * case.image.size), 1)
    places = rng.choice(case.image.size, count, replace=False)
    image = case.image.copy()
    image.flat[places] = factor * case.image.max()
    return replace(case, image=image)


def eight_bit(case: Case, rng: np.random.Generator) -> Case:
    """Keep 256 levels between the extremes, 0 to 255, as an export for pictures does."""
    span = np.ptp(case.image) or 1.0
    return replace(case, image=np.rint(255 * (case.image - case.image.min()) / span))


CORRUPTIONS: Mapping[str, Corruption] = {
    "as it is": lambda case, rng: case,
    **{f"turned by {degrees}°": partial(turn, degrees=degrees) for degrees in (15, 30, 45)},
    "turned by 90°": partial(quarter_turns, count=1),
    "turned by 180°": partial(quarter_turns, count=2),
    "mirrored": mirror,
    "turned by 90°, header kept": partial(quarter_turns, count=1, keep_affine=True),
    "turned by 180°, header kept": partial(quarter_turns, count=2, keep_affine=True),
    "mirrored, header kept": partial(mirror, keep_affine=True),
    "gamma 0.5": partial(gamma, exponent=0.5),
    "gamma 2": partial(gamma, exponent=2.0),
    "inverted": invert,
    "tone curve, rising": partial(tone_curve, monotone=True),
    "tone curve, any": partial(tone_curve, monotone=False),
    "bias field": partial(bias_field, strength=0.5),
    **{f"Rician noise, {100 * level:g} %": partial(rician, level=level) for level in (0.05, 0.1, 0.2)},
    **{f"{factor:g} times coarser in-plane": partial(coarser, factor=factor) for factor in (1.5, 2.0)},
    **{f"pixels of {pixel_mm:g} mm": partial(sampled_at, pixel_mm=pixel_mm) for pixel_mm in (0.7, 2.0)},
    "every second slice": every_second_slice,
    **{f"slices shifted, sd {sd_mm} mm": partial(shift_slices, sd_mm=sd_mm) for sd_mm in (3, 6)},
    "field of view: heart + 10 mm": tight,
    "field of view: 1.6 times": wide,
    "spikes": spikes,
    "8 bit": eight_bit,
}
"""Name in the table to the change."""

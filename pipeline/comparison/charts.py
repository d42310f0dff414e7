"""Charts as SVG: small, sharp, and drawn without the seconds that a plotting library takes to load."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Okabe and Ito's set (https://jfly.uni-koeln.de/color/): apart for every kind of color vision, on white and on black.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#7F7F7F")
MAX_SERIES = len(COLORS)

_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 12, 42
_LEGEND_LINE, _MAX_LEGEND = 16, 64

Point = tuple[float, float]


@dataclass(frozen=True)
class _Frame:
    """The rectangle that data are drawn in, and the ranges of its axes."""

    width: int
    height: int
    x_ticks: tuple[float, ...]
    y_ticks: tuple[float, ...]

    def x(self, value: float) -> float:
        return _LEFT + _share(value, self.x_ticks) * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return self.height - _BOTTOM - _share(value, self.y_ticks) * (self.height - _TOP - _BOTTOM)


def nice_ticks(low: float, high: float, count: int = 5) -> tuple[float, ...]:
    """Return round numbers that span a range: steps of 1, 2 or 5 times a power of ten.

    Args:
        low: smallest value.
        high: largest value, at least ``low``.
        count: about how many steps.
    """
    if high <= low:
        # a range of one value gets room on both sides
        low, high = low - (abs(low) * 0.05 or 0.5), high + (abs(high) * 0.05 or 0.5)
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(place * step, 10) for place in range(first, last + 1))


def line_chart(
    series: Mapping[str, Sequence[Point]], x_label: str, y_label: str, width: int = 720, height: int = 340
) -> str:
    """Draw lines with a mark at each point and a legend below.

    Args:
        series: points of each line by its name, ``MAX_SERIES`` at most; points that are not finite are left out.
        x_label: name of the axis, with its unit.
        y_label: the same.
        width: in pixels.
        height: in pixels, without the legend.

    Returns:
        An ``<svg>`` element; text and axes have the color of the page's text.

    Raises:
        ValueError: there are too many lines.
    """
    if len(series) > MAX_SERIES:
        raise ValueError(f"series must be at most {MAX_SERIES}, got {len(series)}.")
    finite = {name: [point for point in points if all(map(math.isfinite, point))] for name, points in series.items()}
    points = [point for line in finite.values() for point in line] or [(0.0, 0.0), (1.0, 1.0)]
    frame = _Frame(width, height, _ticks_of(points, 0), _ticks_of(points, 1))
    body = [_axes(frame, x_label, y_label)]
    for (name, line), color in zip(finite.items(), COLORS, strict=False):
        body.append(_line(frame, name, line, color))
    for place, (name, color) in enumerate(zip(finite, COLORS, strict=False)):
        body.append(_legend(height + place * _LEGEND_LINE, name, color))
    return _svg(width, height + len(finite) * _LEGEND_LINE + 6, body, f"{y_label} by {x_label}")


def scatter_chart(
    points: Sequence[Point], x_label: str, y_label: str, names: Sequence[str] = (), size: int = 340
) -> str:
    """Draw a case a point, and the diagonal on which both runs are equal.

    Args:
        points: figure of a case in one run and in the other; points that are not finite are left out.
        x_label: name of the one run.
        y_label: name of the other.
        names: shown when the pointer is on a point; none where empty.
        size: width and height in pixels.

    Returns:
        An ``<svg>`` element.
    """
    shown = [
        (point, name)
        for point, name in zip(points, names or [""] * len(points), strict=True)
        if all(map(math.isfinite, point))
    ]
    values = [value for point, _ in shown for value in point] or [0.0, 1.0]
    ticks = nice_ticks(min(values), max(values))
    frame = _Frame(size, size, ticks, ticks)
    ends = f'x1="{frame.x(ticks[0]):.1f}" y1="{frame.y(ticks[0]):.1f}" x2="{frame.x(ticks[-1]):.1f}"'
    body = [_axes(frame, x_label, y_label)]
    body.append(f'<line {ends} y2="{frame.y(ticks[-1]):.1f}" stroke="currentColor" stroke-dasharray="4 3"/>')
    body += [_mark(frame, point, COLORS[0], f"{name} {point[0]:.3f}, {point[1]:.3f}".strip()) for point, name in shown]
    return _svg(size, size, body, f"{y_label} against {x_label}")


def _ticks_of(points: Sequence[Point], axis: int) -> tuple[float, ...]:
    values = [point[axis] for point in points]
    return nice_ticks(min(values), max(values))


def _share(value: float, ticks: Sequence[float]) -> float:
    return (value - ticks[0]) / (ticks[-1] - ticks[0])


def _svg(width: int, height: int, body: Sequence[str], title: str) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    style = 'font-family="system-ui, sans-serif" font-size="12" role="img"'
    return "\n".join([f'{head} {style} aria-label="{html.escape(title)}">', *body, "</svg>"])


def _axes(frame: _Frame, x_label: str, y_label: str) -> str:
    bottom, right = frame.height - _BOTTOM, frame.width - _RIGHT
    parts = []
    for tick, text in zip(frame.y_ticks, _tick_texts(frame.y_ticks), strict=True):
        y = frame.y(tick)
        parts.append(
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="currentColor" opacity="0.15"/>'
        )
        parts.append(_text(_LEFT - 6, y + 4, text, "end"))
    x_texts = zip(frame.x_ticks, _tick_texts(frame.x_ticks), strict=True)
    parts += [_text(frame.x(tick), bottom + 16, text, "middle") for tick, text in x_texts]
    parts.append(f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="currentColor"/>')
    parts.append(_text((_LEFT + right) / 2, frame.height - 8, _shorten(x_label), "middle"))
    middle = (_TOP + bottom) / 2
    turned = f'transform="rotate(-90 13 {middle:.1f})"'
    parts.append(_text(13, middle, _shorten(y_label), "middle", turned))
    return "\n".join(parts)


def _tick_texts(ticks: Sequence[float]) -> list[str]:
    """All with as many digits as the one that needs most."""
    digits = max(len(f"{tick:g}".partition(".")[2]) for tick in ticks)
    return [f"{tick:.{digits}f}" for tick in ticks]


def _line(frame: _Frame, name: str, line: Sequence[Point], color: str) -> str:
    if not line:
        return ""
    path = "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in line)
    marks = [_mark(frame, point, color, f"{name}: {point[0]:g}, {point[1]:.4f}") for point in line]
    return "\n".join([f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="2"/>', *marks])


def _mark(frame: _Frame, point: Point, color: str, title: str) -> str:
    place = f'cx="{frame.x(point[0]):.1f}" cy="{frame.y(point[1]):.1f}"'
    return f'<circle {place} r="3" fill="{color}" fill-opacity="0.8"><title>{html.escape(title)}</title></circle>'


def _legend(y: int, name: str, color: str) -> str:
    rect = f'<rect x="{_LEFT}" y="{y}" width="12" height="12" fill="{color}"/>'
    return rect + _text(_LEFT + 18, y + 10, _shorten(name, _MAX_LEGEND), "start")


def _text(x: float, y: float, text: str, anchor: str, extra: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor" {extra}>{html.escape(text)}</text>'
    )


def _shorten(text: str, length: int = 44) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"

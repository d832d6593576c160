"""Plots as SVG, without scripts and style attributes; each has its numbers as text for those who cannot see it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from reward_service.evaluation.statistics import Floats, Interval
from reward_service.evaluation.tables import shown

_WIDTH, _HEIGHT, _LEFT, _LOW = 360, 200, 42, 30
_BINS = 20
_LETTER = 6
"""Width of a letter of the labels, rather too much."""
_MOST_POINTS = 5_000


def distribution(title: str, values: Floats) -> str:
    """A histogram of the values that are not NaN."""
    known = values[~np.isnan(values)]
    if not len(known):
        return ""
    low, high = float(known.min()), float(known.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(known, _BINS, (low, high))
    across, up = _scales(low, high, 0.0, float(counts.max()))
    bars = "".join(
        f'<rect class="bar" x="{across(a):.1f}" y="{up(n):.1f}" width="{max(0.5, across(b) - across(a) - 1):.1f}" '
        f'height="{up(0) - up(n):.1f}"><title>{a:.3g} to {b:.3g}: {n}</title></rect>'
        for n, a, b in zip(map(float, counts), edges, edges[1:], strict=False)
    )
    told = f"{title}: {len(known)} values from {low:.3g} to {high:.3g}, mean {known.mean():.3f}"
    return _svg(title, told, bars + _axes(low, high, 0, int(counts.max())))


def intervals(title: str, names: Sequence[str], found: Sequence[Interval]) -> str:
    """A point with its interval for each name."""
    ends = [x for one in found for x in one if not math.isnan(x)]
    if not ends:
        return ""
    low, high = min(ends), max(ends)
    margin = (high - low) * 0.05 or 0.5
    left = min(_WIDTH // 2, max(120, 10 + _LETTER * max(map(len, names))))
    across, _ = _scales(low - margin, high + margin, 0, 1, left=left)
    step = (_HEIGHT - _LOW - 10) / len(names)
    parts = []
    for i, (name, one) in enumerate(zip(names, found, strict=True)):
        y = 10 + step * (i + 0.5)
        room = left - 6
        fitted = f' textLength="{room}" lengthAdjust="spacingAndGlyphs"' if len(name) * _LETTER > room else ""
        parts.append(f'<text x="{room}" y="{y + 4:.1f}" text-anchor="end"{fitted}>{escape(name)}</text>')
        if not math.isnan(one.low):
            parts.append(
                f'<line class="interval" x1="{across(one.low):.1f}" x2="{across(one.high):.1f}" '
                f'y1="{y:.1f}" y2="{y:.1f}"/>'
            )
        if not math.isnan(one.value):
            parts.append(f'<circle class="point" cx="{across(one.value):.1f}" cy="{y:.1f}" r="4"/>')
    base = _HEIGHT - 8
    axis = (
        f'<text x="{left}" y="{base}">{low:.3g}</text><text x="{_WIDTH}" y="{base}" text-anchor="end">{high:.3g}</text>'
    )
    told = f"{title}: " + "; ".join(f"{name} {shown(one)}" for name, one in zip(names, found, strict=True))
    return _svg(title, told, "".join(parts) + axis)


def stacked(title: str, names: Sequence[str], significant: Sequence[float], insignificant: Sequence[float]) -> str:
    """Bars of two parts: errors by category."""
    most = max([a + b for a, b in zip(significant, insignificant, strict=True)], default=0.0) or 1.0
    step = (_HEIGHT - 20) / max(1, len(names))
    room = _WIDTH - 135
    parts = []
    for i, (name, a, b) in enumerate(zip(names, significant, insignificant, strict=True)):
        y, wide, more = 10 + step * i, room * a / most, room * b / most
        words = escape(name.replace("_", " "))
        parts.append(f'<text x="124" y="{y + step / 2 + 4:.1f}" text-anchor="end">{words}</text>')
        parts.append(f'<rect class="significant" x="130" y="{y + 3:.1f}" width="{wide:.1f}" height="{step - 6:.1f}"/>')
        parts.append(
            f'<rect class="insignificant" x="{130 + wide:.1f}" y="{y + 3:.1f}" width="{more:.1f}" '
            f'height="{step - 6:.1f}"/>'
        )
    told = f"{title}: " + "; ".join(
        f"{name} {a:.2f} significant, {b:.2f} insignificant"
        for name, a, b in zip(names, significant, insignificant, strict=True)
    )
    return _svg(title, told, "".join(parts))


def scatter(title: str, x_name: str, y_name: str, x: Floats, y: Floats) -> str:
    """A point for each study that both systems have, at most 5,000, and the diagonal."""
    known = np.flatnonzero(~np.isnan(x) & ~np.isnan(y))
    if not len(known):
        return ""
    drawn = known[:: max(1, math.ceil(len(known) / _MOST_POINTS))]
    low, high = float(min(x[known].min(), y[known].min())), float(max(x[known].max(), y[known].max()))
    if low == high:
        low, high = low - 0.5, high + 0.5
    across, up = _scales(low, high, low, high)
    points = "".join(f'<circle class="dot" cx="{across(x[i]):.1f}" cy="{up(y[i]):.1f}" r="2"/>' for i in drawn)
    line = f'<line class="axis" x1="{across(low):.1f}" y1="{up(low):.1f}" x2="{across(high):.1f}" y2="{up(high):.1f}"/>'
    better = int((y[known] > x[known]).sum())
    told = f"{title}: {y_name} is higher than {x_name} in {better} of {len(known)} studies"
    return _svg(title, told, line + points + _axes(low, high, low, high))


def _scales(low: float, high: float, bottom: float, top: float, left: int = _LEFT):  # type: ignore[no-untyped-def]
    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (_WIDTH - left - 6)

    def up(value: float) -> float:
        return 8 + (top - value) / ((top - bottom) or 1) * (_HEIGHT - _LOW - 8)

    return across, up


def _axes(low: float, high: float, bottom: float, top: float) -> str:
    base = _HEIGHT - _LOW
    return (
        f'<line class="axis" x1="{_LEFT}" y1="{base}" x2="{_WIDTH}" y2="{base}"/>'
        f'<line class="axis" x1="{_LEFT}" y1="8" x2="{_LEFT}" y2="{base}"/>'
        f'<text x="{_LEFT}" y="{base + 16}">{low:.3g}</text>'
        f'<text x="{_WIDTH}" y="{base + 16}" text-anchor="end">{high:.3g}</text>'
        f'<text x="{_LEFT - 4}" y="16" text-anchor="end">{top:.3g}</text>'
        f'<text x="{_LEFT - 4}" y="{base}" text-anchor="end">{bottom:.3g}</text>'
    )


def _svg(title: str, told: str, content: str) -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'aria-label="{escape(told, quote=True)}">{content}</svg></figure>'
    )

"""A trend as shapes of an SVG: no script draws it, and no style is inline. Pure.

Coordinates are texts, since a template would write a number by the visitor's locale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600.0, 96.0
# Left free above the highest point.
TOP = 6.0


@dataclass(frozen=True)
class Bar:
    """One column from the ground up."""

    x: str
    y: str
    width: str
    height: str


def bars(values: Sequence[float]) -> list[Bar]:
    """Return a column for each value that is not zero, the highest to the top."""
    highest = max(values, default=0)
    if highest <= 0:
        return []
    step = WIDTH / len(values)
    made = []
    for n, value in enumerate(values):
        if value > 0:
            height = max(1.0, value / highest * (HEIGHT - TOP))
            made.append(Bar(_text(n * step), _text(HEIGHT - height), _text(step * 0.8), _text(height)))
    return made


def line(values: Sequence[float | None], highest: float) -> str:
    """Return the path of a line through the values, None a gap, up to ``highest``. One value alone is a short stroke."""
    if highest <= 0:
        return ""
    step = WIDTH / len(values)
    path: list[str] = []
    for n, value in enumerate(values):
        if value is None:
            continue
        y = _text(HEIGHT - value / highest * (HEIGHT - TOP))
        follows = n > 0 and values[n - 1] is not None
        goes_on = n + 1 < len(values) and values[n + 1] is not None
        path.append(f"{'L' if follows else 'M'}{_text((n + 0.5) * step)} {y}")
        if not follows and not goes_on:
            path.append(f"h{_text(step * 0.5)}")
    return "".join(path)


def _text(number: float) -> str:
    return f"{number:.1f}"

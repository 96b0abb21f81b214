"""Figures as the pages write them, with their units. Pure; never by the visitor's locale, as the other figures of the panel."""

from __future__ import annotations

import time
from datetime import UTC, datetime

US_PER_MS, US_PER_S = 1e3, 1e6


def duration(us: float) -> str:
    """Return microseconds in the unit in which they are short: ``0.42 ms``, ``16 ms``, ``2.1 s``, ``3 min``, ``4.5 h``."""
    if us < US_PER_S:
        ms = us / US_PER_MS
        return f"{ms:.2f} ms" if ms < 10 else f"{ms:.0f} ms"
    seconds = us / US_PER_S
    for size, unit in ((3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def count(number: float | None) -> str:
    """Return a number with thin thousands, one decimal if it has any, ``-`` for None."""
    if number is None:
        return "-"
    return f"{number:,.0f}" if number == int(number) or number >= 100 else f"{number:,.1f}"


def ago(at: float, now: float | None = None) -> str:
    """Return how long ago an instant was, in its largest whole unit."""
    seconds = max(0, int((time.time() if now is None else now) - at))
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "just now"


def instant(at: float) -> str:
    """Return an instant in UTC, as the ``datetime`` of a ``<time>``."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(at: float) -> str:
    """Return an instant in UTC for people."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def shortened(text: str, chars: int) -> str:
    """Return the text, cut at ``chars``."""
    return text if len(text) <= chars else text[: chars - 1] + "…"

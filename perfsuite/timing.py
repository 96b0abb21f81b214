"""Durations and instants in the units that the whole package uses.

Durations are taken from ``time.perf_counter`` and kept in microseconds; instants are whole seconds since the
epoch in UTC where they are stored, and aware datetimes where a person or a host's code sees them.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

US_PER_S = 1_000_000


def elapsed_us(start: float) -> float:
    """Return the microseconds since ``start``, a reading of ``time.perf_counter``."""
    return (time.perf_counter() - start) * US_PER_S


def aware(epoch_s: float) -> datetime:
    """Return the instant ``epoch_s`` as an aware datetime in UTC."""
    return datetime.fromtimestamp(epoch_s, tz=UTC)


def format_us(us: float) -> str:
    """Write a duration for a person, in the unit that keeps it short: ``850 µs``, ``12.3 ms``, ``4.56 s``."""
    if us < 999.5:
        return f"{us:.0f} µs"
    if us < 999_950:  # what would be written as 1000.0 ms is a second
        return f"{us / 1_000:.1f} ms"
    return f"{us / US_PER_S:.2f} s"

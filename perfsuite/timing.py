"""Durations in the unit that the whole package uses.

Durations are taken from ``time.perf_counter`` and kept in microseconds; instants are whole seconds since the epoch in UTC.
"""

from __future__ import annotations

import time

US_PER_S = 1_000_000


def elapsed_us(start: float) -> float:
    """Return the microseconds since ``start``, a reading of ``time.perf_counter``."""
    return (time.perf_counter() - start) * US_PER_S

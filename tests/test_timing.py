"""Durations."""

from __future__ import annotations

import time

from perfsuite.timing import elapsed_us


def test_elapsed_time_is_in_microseconds_and_never_negative() -> None:
    started = time.perf_counter()
    first = elapsed_us(started)
    second = elapsed_us(started)
    assert 0 <= first <= second
    assert elapsed_us(started - 2) >= 2_000_000

"""Durations and instants."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from perfsuite.timing import aware, elapsed_us, format_us


def test_elapsed_time_is_in_microseconds_and_never_negative() -> None:
    started = time.perf_counter()
    first = elapsed_us(started)
    second = elapsed_us(started)
    assert 0 <= first <= second
    assert elapsed_us(started - 2) >= 2_000_000


def test_an_instant_is_aware_and_in_utc() -> None:
    instant = aware(1_763_800_000.5)
    assert instant.utcoffset() == timedelta(0)
    assert instant.isoformat() == "2025-11-22T08:26:40.500000+00:00"


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0 µs"),
        (0.4, "0 µs"),
        (850, "850 µs"),
        (999, "999 µs"),
        (999.7, "1.0 ms"),
        (1_000, "1.0 ms"),
        (12_345, "12.3 ms"),
        (999_949, "999.9 ms"),
        (999_960, "1.00 s"),
        (1_000_000, "1.00 s"),
        (4_560_000, "4.56 s"),
        (3_600_000_000, "3600.00 s"),
    ],
)
def test_a_duration_is_written_in_the_unit_that_keeps_it_short(us: float, text: str) -> None:
    assert format_us(us) == text

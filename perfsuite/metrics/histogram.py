"""Histograms whose percentiles stay right when they are merged over workers, hosts and time.

The buckets grow geometrically, as in DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch
with relative-error guarantees", VLDB 2019): a value of at least one unit is answered with at most 2 % relative error by
nearest rank, however the values were split before merging. Zero has a bucket of its own; between zero and one unit the
error is at most one unit. Merging is addition, so its order does not matter. The average of several p95s has no such
bound and is never computed here.

Imports no Django.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

# 1.9 % rather than 2 %, so that rounding in float arithmetic cannot pass the promised bound.
RELATIVE_ERROR = 0.019
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_PER_LOG = 1 / math.log(GAMMA)
# The value that is within RELATIVE_ERROR of all in (GAMMA ** (k - 1), GAMMA ** k] is GAMMA ** k times this.
_MIDDLE = 2 / (1 + GAMMA)

VERSION = 1
_ZERO = -1
_WIDTHS = "BHIQ"
_HEAD = struct.Struct("<BBHH")

_INF = math.inf
_log = math.log
_ceil = math.ceil


class Counter:
    """Count, sum, smallest and largest of the values seen; everything of a histogram but its percentiles."""

    __slots__ = ("count", "max", "min", "sum")

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self.min = math.inf
        self.max = 0.0

    def add(self, value: float) -> None:
        """Add one value; a negative one counts as zero, as after a jump of the clock. NaN and infinities raise ValueError."""
        if not 0 <= value < _INF:
            value = 0.0 if value < 0 else _refuse(value)
        self.sum += value
        self.count += 1
        if value < self.min:
            self.min = value
        if value > self.max:
            self.max = value

    @property
    def mean(self) -> float:
        """The average of the values, 0.0 if there are none."""
        return self.sum / self.count if self.count else 0.0

    def to_bytes(self) -> bytes:
        """Return what must be kept beside count, sum, min and max: nothing."""
        return b""


class Histogram(Counter):
    """A mergeable histogram with percentiles of at most 2 % relative error from one unit up."""

    __slots__ = ("buckets",)

    def __init__(self) -> None:
        super().__init__()
        self.buckets: dict[int, int] = {}

    # Hot path: benchmarks/recorder.py
    def add(self, value: float) -> None:
        """Add one value in the declared unit; a negative one counts as zero. NaN and infinities raise ValueError."""
        if value >= 1:
            key = _ceil(_log(value) * _PER_LOG) if value < _INF else _refuse(value)
        elif value > 0:
            key = 0
        elif value <= 0:
            key, value = _ZERO, 0.0
        else:
            key = _refuse(value)
        self.sum += value
        self.count += 1
        buckets = self.buckets
        buckets[key] = buckets.get(key, 0) + 1
        if value < self.min:
            self.min = value
        if value > self.max:
            self.max = value

    def merge(self, other: Histogram) -> None:
        """Add all that ``other`` holds."""
        self._merge_buckets(other.buckets.items())
        self._merge_numbers(other.count, other.sum, other.min, other.max)

    def merge_stored(self, count: int, total: float, smallest: float, largest: float, stored: bytes) -> None:
        """Add a row of the store: the four numbers and what ``to_bytes`` returned (empty for a counter)."""
        if stored:
            self._merge_buckets(zip(*_unpack(stored), strict=True))
        self._merge_numbers(count, total, smallest, largest)

    # Hot path: benchmarks/panel.py
    def _merge_buckets(self, others: Iterable[tuple[int, int]]) -> None:
        buckets = self.buckets
        if not buckets:  # as for most points of a chart
            buckets.update(others)
            return
        for key, count in others:
            buckets[key] = buckets.get(key, 0) + count

    def _merge_numbers(self, count: int, total: float, smallest: float, largest: float) -> None:
        if not count:
            return
        self.count += count
        self.sum += total
        if smallest < self.min:
            self.min = smallest
        if largest > self.max:
            self.max = largest

    def quantile(self, q: float) -> float:
        """Return the ``q`` quantile (0 to 1) by nearest rank, 0.0 if there are no values or only a counter's numbers."""
        held = sum(self.buckets.values())
        if not held:
            return 0.0
        wanted, seen, from_the_top = math.ceil(q * held), 0, q > 0.5
        if from_the_top:  # the shorter way to a p95
            wanted = held - wanted + 1
        for key in sorted(self.buckets, reverse=from_the_top):
            seen += self.buckets[key]
            if seen >= wanted:
                break
        if key == _ZERO:
            return 0.0
        # One power less, since that of the largest float's bucket is no float any more.
        return min(max(_MIDDLE * GAMMA * GAMMA ** (key - 1), self.min), self.max)

    def to_bytes(self) -> bytes:
        """Serialise the buckets: a version byte, then the keys' gaps and the counts in the narrowest widths that fit."""
        if not self.buckets:
            return b""
        keys = sorted(self.buckets)
        gaps = [later - earlier for earlier, later in pairwise(keys)]
        counts = [self.buckets[key] for key in keys]
        gap_width, count_width = _width(max(gaps, default=0)), _width(max(counts))
        head = _HEAD.pack(VERSION, gap_width << 4 | count_width, len(keys), keys[0] - _ZERO)
        return head + struct.pack(
            f"<{len(gaps)}{_WIDTHS[gap_width]}{len(counts)}{_WIDTHS[count_width]}", *gaps, *counts
        )

    @classmethod
    def from_bytes(
        cls, stored: bytes, count: int, total: float, smallest: float, largest: float
    ) -> Histogram:
        """Rebuild a histogram from ``to_bytes`` and its four numbers; an unknown version raises ValueError."""
        histogram = cls()
        histogram.merge_stored(count, total, smallest, largest, stored)
        return histogram


# Hot path: benchmarks/panel.py
def _unpack(stored: bytes) -> tuple[Iterator[int], Sequence[int]]:
    version, widths, n, first = _HEAD.unpack_from(stored)
    if version != VERSION:
        raise ValueError(
            f"Histogram of version {version!r}, written by a newer perfsuite; upgrade this one to read it."
        )
    counts_at = _HEAD.size + ((n - 1) << (widths >> 4))
    end = counts_at + (n << (widths & 15))
    if len(stored) < end:
        raise struct.error(f"a histogram of {end} bytes was cut off after {len(stored)}")
    gaps = _numbers(stored[_HEAD.size : counts_at], widths >> 4)
    return accumulate(gaps, initial=first + _ZERO), _numbers(stored[counts_at:end], widths & 15)


def _numbers(packed: bytes, width: int) -> Sequence[int]:
    """Return little-endian numbers; much faster than ``struct``, which compiles a format for each length."""
    if width == 0:
        return packed
    numbers = array(_WIDTHS[width], packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _width(largest: int) -> int:
    return 0 if largest < 1 << 8 else 1 if largest < 1 << 16 else 2 if largest < 1 << 32 else 3


def _refuse(value: float) -> int:
    raise ValueError(f"{value!r} is not a number that a histogram can hold.")

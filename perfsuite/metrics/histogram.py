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
from collections.abc import Iterable, Sequence
from itertools import accumulate, compress, pairwise

# 1.9 % rather than 2 %, so that rounding in float arithmetic cannot pass the promised bound.
RELATIVE_ERROR = 0.019
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
# To base 2, since Python's ``log`` takes another base and is slower to call.
_PER_LOG = 1 / math.log2(GAMMA)
# The value that is within RELATIVE_ERROR of all in (GAMMA ** (k - 1), GAMMA ** k] is GAMMA ** k times this.
_MIDDLE = 2 / (1 + GAMMA)

VERSION = 1
_ZERO = -1
_WIDTHS = "BHIQ"
_NO_GAPS = 15
_HEAD = struct.Struct("<BBHH")
_LANE_BITS = 64
# So few buckets are added up faster one by one.
_DENSE_FROM = 16

# Count, sum, min and max of a row of the store, and its buckets as ``to_bytes`` wrote them.
Row = tuple[int, float, float, float, bytes]

_INF = math.inf
_log = math.log2
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

    def add_many(self, values: Sequence[float]) -> None:
        """Add each of the values; costs a fraction of adding them one by one."""
        total, least = sum(values), min(values, default=0.0)
        if not (least >= 0 and total < _INF):
            for value in values:
                self.add(value)
            return
        self._count(values)
        self._merge_numbers(len(values), total, least, max(values, default=0.0))

    def _count(self, values: Sequence[float]) -> None:
        """Put values that are numbers into their buckets, of which a counter has none."""

    def _merge_numbers(self, count: int, total: float, smallest: float, largest: float) -> None:
        if not count:
            return
        self.count += count
        self.sum += total
        if smallest < self.min:
            self.min = smallest
        if largest > self.max:
            self.max = largest

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

    # Hot path: benchmarks/recorder.py
    def _count(self, values: Sequence[float]) -> None:
        buckets, held = self.buckets, self.buckets.get
        for value in values:
            key = _ceil(_log(value) * _PER_LOG) if value >= 1 else 0 if value else _ZERO
            buckets[key] = held(key, 0) + 1

    def merge(self, other: Histogram) -> None:
        """Add all that ``other`` holds."""
        self._merge_buckets(other.buckets.items())
        self._merge_numbers(other.count, other.sum, other.min, other.max)

    def merge_stored(self, count: int, total: float, smallest: float, largest: float, stored: bytes) -> None:
        """Add a row of the store: the four numbers and what ``to_bytes`` returned (empty for a counter)."""
        if stored:
            first, gaps, counts = _unpack(stored)
            self._merge_buckets(_pairs(first, gaps, counts))
        self._merge_numbers(count, total, smallest, largest)

    # Hot path: benchmarks/panel.py
    def merge_rows(self, rows: Iterable[Row]) -> None:
        """Add many rows of the store, in less than half the time that one by one would take.

        The counts of a row without gaps are read as one large integer of 64 bits a bucket, so that adding up buckets is adding
        two integers.
        """
        lanes = 0
        for count, total, smallest, largest, stored in rows:
            if stored:
                first, gaps, counts = _unpack(stored)
                if gaps is None:
                    lanes += _lanes(counts) << _LANE_BITS * (first - _ZERO)
                else:
                    self._merge_buckets(_pairs(first, gaps, counts))
            self._merge_numbers(count, total, smallest, largest)
        if lanes:
            self._merge_buckets(_pairs(_ZERO, None, _counts(lanes)))

    # Hot path: benchmarks/panel.py
    def _merge_buckets(self, others: Iterable[tuple[int, int]]) -> None:
        buckets = self.buckets
        if not buckets:  # as for most points of a chart
            buckets.update(others)
            return
        for key, count in others:
            buckets[key] = buckets.get(key, 0) + count

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
        """Serialise the buckets: a version byte, then the counts of all keys from the first to the last or, where they are few
        or far apart, the keys' gaps and the counts; each in the narrowest width that fits."""
        if not self.buckets:
            return b""
        keys = sorted(self.buckets)
        counts = [self.buckets[key] for key in keys]
        gaps = [later - earlier for earlier, later in pairwise(keys)]
        span = keys[-1] - keys[0] + 1
        gap_width, count_width = _width(max(gaps, default=0)), _width(max(counts))
        gapped_size = (len(gaps) << gap_width) + (len(counts) << count_width)
        if len(keys) >= _DENSE_FROM and 2 * (span << count_width) <= 3 * gapped_size:
            head = _HEAD.pack(VERSION, _NO_GAPS << 4 | count_width, span, keys[0] - _ZERO)
            held = self.buckets.get
            return head + struct.pack(
                f"<{span}{_WIDTHS[count_width]}", *(held(key, 0) for key in range(keys[0], keys[-1] + 1))
            )
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
def _unpack(stored: bytes) -> tuple[int, Sequence[int] | None, Sequence[int]]:
    """Return the first key, the gaps between the keys (None: each is the next one) and the counts."""
    version, widths, n, first = _HEAD.unpack_from(stored)
    if version != VERSION:
        raise ValueError(
            f"Histogram of version {version!r}, written by a newer perfsuite; upgrade this one to read it."
        )
    gap_width, count_width = widths >> 4, widths & 15
    counts_at = _HEAD.size + (0 if gap_width == _NO_GAPS else (n - 1) << gap_width)
    end = counts_at + (n << count_width)
    if len(stored) < end:
        raise struct.error(f"a histogram of {end} bytes was cut off after {len(stored)}")
    gaps = None if gap_width == _NO_GAPS else _numbers(stored[_HEAD.size : counts_at], gap_width)
    return first + _ZERO, gaps, _numbers(stored[counts_at:end], count_width)


def _pairs(first: int, gaps: Sequence[int] | None, counts: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Return keys with their counts, without those that are zero."""
    if gaps is None:
        return compress(zip(range(first, first + len(counts)), counts, strict=True), counts)
    return zip(accumulate(gaps, initial=first), counts, strict=True)


def _lanes(counts: Sequence[int]) -> int:
    """Return counts as one integer, 64 bits for each, the first one lowest."""
    wide = array("Q", list(counts))  # bytes would be taken for the numbers themselves
    if sys.byteorder == "big":
        wide.byteswap()
    return int.from_bytes(wide.tobytes(), "little")


def _counts(lanes: int) -> Sequence[int]:
    length = -(-lanes.bit_length() // _LANE_BITS)
    return _numbers(lanes.to_bytes(length * _LANE_BITS // 8, "little"), _width(1 << 32))


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

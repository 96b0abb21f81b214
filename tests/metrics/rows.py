"""Rows of a made-up history, written to the store as the flushers of several processes would."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import uuid4

from perfsuite.metrics import kinds
from perfsuite.metrics.histogram import Counter, Histogram
from perfsuite.metrics.identity import describe
from perfsuite.metrics.kinds import Kind
from perfsuite.metrics.models import Bucket, Lease, Mark, Series
from perfsuite.metrics.storages import BucketRow, SeriesRow, get_storage
from perfsuite.metrics.storages.alias import store_alias

TIMING = kinds.declare(Kind("test.rows.timing", "us", ("route", "status"), cap=50))
VOLUME = kinds.declare(Kind("test.rows.volume", "bytes", ("route",), cap=50, percentiles=False))


class Measured(NamedTuple):
    """One value that a process measured, and the start of the 10 seconds in which it was written."""

    at: int
    kind: str
    labels: tuple[str, ...]
    value: float


def row_of(measured: Sequence[Measured]) -> tuple[BucketRow, SeriesRow]:
    """Return the row that one process writes for values of one series in one stretch of 10 seconds."""
    first = measured[0]
    declared = kinds.lookup(first.kind)
    assert declared is not None
    held: Counter = Histogram() if declared.percentiles else Counter()
    for each in measured:
        held.add(each.value)
    described = describe(first.kind, first.labels)
    numbers = (held.count, held.sum, held.min, held.max, held.to_bytes())
    return BucketRow(uuid4(), 10, first.at, first.kind, described.id, *numbers), described


def write(*measured: Measured) -> None:
    """Write one row for each series and stretch of 10 seconds, as one process does."""
    groups: dict[tuple[object, ...], list[Measured]] = {}
    for each in measured:
        groups.setdefault(each[:3], []).append(each)
    written = [row_of(group) for group in groups.values()]
    storage = get_storage()
    storage.announce([series for _, series in written], 0)
    storage.append([row for row, _ in written])


def exactly(
    measured: Iterable[Measured],
    kind: str,
    start: int,
    end: int,
    where: Mapping[str, str] | None = None,
) -> Histogram:
    """Return what reading must give: the values of a kind in ``[start, end)``, added up by hand."""
    declared = kinds.lookup(kind)
    assert declared is not None
    total = Histogram()
    for each in measured:
        if each.kind == kind and start <= each.at < end:
            labels = dict(zip(declared.labels, each.labels, strict=True))
            if all(labels[name] == value for name, value in (where or {}).items()):
                total.add(each.value)
    if not declared.percentiles:
        total.buckets.clear()
    return total


def assert_same(read: Histogram, expected: Histogram) -> None:
    """Compare all but the last bits of the sum, which depend on the order of addition."""
    assert (read.count, read.min, read.max) == (expected.count, expected.min, expected.max)
    assert read.buckets == expected.buckets
    assert abs(read.sum - expected.sum) <= 1e-9 * max(1.0, expected.sum)


def stored(resolution: int, kind: str | None = None, before: int | None = None) -> Histogram:
    """Return everything that the rows of one resolution hold, up to an instant if given."""
    total = Histogram()
    rows = Bucket.objects.using(store_alias()).filter(resolution=resolution)
    if before is not None:
        rows = rows.filter(start__lt=before)
    for row in rows.filter(kind=kind) if kind else rows:
        total.merge_stored(row.count, row.sum, row.min, row.max, bytes(row.histogram))
    return total


def labels_of(series_id: str) -> tuple[str, ...]:
    return tuple(json.loads(get_storage().describe([series_id])[series_id].labels))


def empty_the_store() -> None:
    """Delete all rows; a property test does so before each of its examples."""
    for model in (Bucket, Series, Mark, Lease):
        model.objects.using(store_alias()).all().delete()

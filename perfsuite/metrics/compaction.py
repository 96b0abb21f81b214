"""Compaction and retention: 10 s -> 1 min -> 10 min -> 1 h -> 1 d.

A stretch is compacted once it is closed: its rows are merged series by series over all writers into rows of the next resolution,
whose ids follow from what they are about, and then the watermark of that resolution moves past it. The watermark moves last, and
readers use a resolution only below its watermark, so a crash anywhere leaves either rows that nobody reads yet and the next run
completes, or a finished stretch. The finer rows stay until their own retention ends.

A minute closes a minute late, by the leader's clock, and the flusher never stamps a row before ``earliest_open``. The leader
announces what it will close, and closes it at its next run. So no row arrives in a closed minute, even from a host whose clock is
minutes behind, unless writing it takes longer than ``COMPACT_EVERY_S``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import blake2b
from itertools import pairwise
from uuid import UUID

from perfsuite.metrics import leader
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.histogram import Histogram
from perfsuite.metrics.identity import uuid_of
from perfsuite.metrics.reading import Reading
from perfsuite.metrics.storages import RESOLUTIONS, BucketRow, Span, Storage, get_storage

GRACE_S = 60
LEVELS = tuple(pairwise(RESOLUTIONS))
COMPACT_EVERY_S = 10
TRIM_EVERY_S = 60
TRIM_CHUNK = 1_000
# One trim deletes at most this many rows of a resolution; the next one goes on.
TRIM_ROWS = 50_000
# The mark below which minutes are closed, or will be at the leader's next run.
CLOSING = f"closing:{RESOLUTIONS[1]}"
# One run announces at most so many minutes, each found by a statement; the next one goes on.
MAX_ANNOUNCED = 1_000

Checkpoint = Callable[[], None]


def watermark(resolution: int) -> str:
    """Return the name of the mark below which the rows of a resolution are complete."""
    return f"compacted:{resolution}"


def watermarks(storage: Storage | Reading) -> dict[int, int]:
    """Return the watermark of each resolution above the finest that has one, in seconds since the epoch."""
    names = {watermark(resolution): resolution for resolution in RESOLUTIONS[1:]}
    return {names[name]: value for name, value in storage.marks(list(names)).items()}


def earliest_open(storage: Storage) -> int:
    """Return the first instant that a new row may be stamped with: a minute after the last one that is closed or soon will be."""
    marks = storage.marks([watermark(60), CLOSING])
    return max(marks.values()) + 60 if marks else 0


def compact(
    now: float | None = None, checkpoint: Checkpoint = leader.still_leads, until: int | None = None
) -> int:
    """Compact all that is closed at ``now``, and of minutes only what ends by ``until``, an instant or None for all; return how
    many stretches were. ``checkpoint`` is called before each.
    """
    storage, done = get_storage(), 0
    for source, target in LEVELS:
        while _compact_next(storage, source, target, time.time() if now is None else now, checkpoint, until):
            done += 1
    return done


def compact_announced(now: float | None = None, checkpoint: Checkpoint = leader.still_leads) -> int:
    """Compact what an earlier run has announced, then announce what the next one may compact; return how many stretches were.

    Who looked for an open minute before it was announced has the time between two runs to write. Else a leader whose clock is
    ahead would close the minute that another host is writing into.
    """
    storage = get_storage()
    announced = storage.marks([CLOSING]).get(CLOSING)
    done = compact(now, checkpoint, until=announced or 0)
    reached = _last_closed(storage, announced, time.time() if now is None else now)
    if reached is not None and reached != announced:
        checkpoint()
        if not storage.move_mark(CLOSING, announced, reached):
            raise leader.LeaseLost
    return done


def _last_closed(storage: Storage, announced: int | None, now: float) -> int | None:
    """Return the end of the last minute with rows that is over at ``now``. It goes by rows, so that a clock that is ahead for a
    moment does not close a day that nothing is known of yet.
    """
    end = max((mark for mark in (announced, watermarks(storage).get(60)) if mark is not None), default=None)
    for _ in range(MAX_ANNOUNCED):
        first = storage.first_start(RESOLUTIONS[0], end)
        if first is None or _floor(first, 60) + 60 > now - GRACE_S:
            break
        end = _floor(first, 60) + 60
    return end


def waiting(now: float | None = None) -> int:
    """Return how many seconds of closed 10-second rows wait for compaction."""
    storage = get_storage()
    first = storage.first_start(RESOLUTIONS[0], watermarks(storage).get(60))
    closed = _floor(int(time.time() if now is None else now) - GRACE_S, 60)
    return 0 if first is None else max(0, closed - _floor(first, 60))


def _compact_next(
    storage: Storage, source: int, target: int, now: float, checkpoint: Checkpoint, until: int | None
) -> bool:
    marks = watermarks(storage)
    done = marks.get(target)
    if source == RESOLUTIONS[0]:
        closed = int(now) - GRACE_S if until is None else min(int(now) - GRACE_S, until)
    else:
        closed = marks.get(source, 0)
    first = storage.first_start(source, done)
    if first is None or (start := _floor(first, target)) + target > closed:
        return False
    checkpoint()
    storage.append(_merged(storage, source, target, start), again=True)
    checkpoint()
    if not storage.move_mark(watermark(target), done, start + target):
        raise leader.LeaseLost
    return True


def _merged(storage: Storage, source: int, target: int, start: int) -> list[BucketRow]:
    merged: dict[tuple[str, str], Histogram] = {}
    for at in range(
        start, start + target, source
    ):  # one after the other, so that few rows are in memory at a time
        for cell in storage.cells([Span(source, at, at + source)]):
            held = merged.setdefault((cell.kind, cell.series), Histogram())
            held.merge_stored(cell.count, cell.sum, cell.min, cell.max, cell.histogram)
    return [
        BucketRow(
            _row_id(target, start, series),
            target,
            start,
            kind,
            series,
            h.count,
            h.sum,
            h.min,
            h.max,
            h.to_bytes(),
        )
        for (kind, series), h in merged.items()
    ]


def _row_id(resolution: int, start: int, series: str) -> UUID:
    return uuid_of(blake2b(f"{resolution}:{start}:{series}".encode(), digest_size=16).digest())


def _floor(instant: int, step: int) -> int:
    return instant - instant % step


def expired(now: float | None = None) -> dict[int, int]:
    """Return how many rows of each resolution ``trim`` would delete."""
    storage = get_storage()
    return {
        resolution: storage.count_before(resolution, before) for resolution, before in cutoffs(now).items()
    }


def cutoffs(now: float | None = None) -> dict[int, int]:
    """Return for each resolution the instant before which its rows are past their retention and already compacted."""
    instant, settings, marks = (
        int(time.time() if now is None else now),
        MetricsSettings.get(),
        watermarks(get_storage()),
    )
    found: dict[int, int] = {}
    for resolution, coarser in zip(RESOLUTIONS, [*RESOLUTIONS[1:], None], strict=True):
        expired = instant - settings.keep_s(resolution)
        found[resolution] = expired if coarser is None else min(expired, marks.get(coarser, 0))
    return found


def trim(now: float | None = None, checkpoint: Checkpoint = leader.still_leads) -> dict[int, int]:
    """Delete what is past its retention, in small chunks; return how many rows of each resolution were deleted."""
    storage, deleted = get_storage(), {}
    for resolution, before in cutoffs(now).items():
        gone = 0
        while gone < TRIM_ROWS:
            checkpoint()
            chunk = storage.trim(resolution, before, TRIM_CHUNK)
            gone += chunk
            if chunk < TRIM_CHUNK:
                break
        deleted[resolution] = gone
    oldest = int(time.time() if now is None else now) - MetricsSettings.get().keep_1d_s
    storage.trim_series(oldest, TRIM_CHUNK)
    return deleted


def register_jobs() -> None:
    """Register compaction and retention with the leader."""
    leader.register_job("compact", COMPACT_EVERY_S, compact_announced)
    leader.register_job("trim", TRIM_EVERY_S, trim)

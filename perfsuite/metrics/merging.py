"""The leader's work on findings: sightings are merged into them, they resolve, and what is old goes.

A stretch of time is merged once compaction has closed it, finding by finding: the runs of all routes in it are known then, and
no sighting arrives in it any more, since the flusher stamps both alike. Each finding notes how far it has been counted and is
changed by compare-and-set, and the mark of the whole moves last. So a leader that is killed anywhere leaves findings that the
next run skips and findings that it still has to count; and of two leaders, one finds the row changed. Sightings go once the mark
has passed them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from perfsuite.metrics import leader, lifecycle
from perfsuite.metrics.compaction import Checkpoint, watermark
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.findings import MARK, TRIES, by_finding
from perfsuite.metrics.runs import Ran
from perfsuite.metrics.storages import Storage, StoredFinding, StoredSighting, get_storage

MERGE_EVERY_S = 20
TRIM_EVERY_S = 300
MINUTE_S = 60
TRIM_CHUNK = 1_000
# How long exemplars and resolved findings are kept; open ones on routes that nobody requests any more go with the daily rows.
KEEP_EXEMPLARS_S = 7 * 86_400
KEEP_RESOLVED_S = 90 * 86_400
# A week has each night's report, and the weekly one, once more.
KEEP_SUSPECTED_S = 8 * 86_400
SLOWEST = 5
RECENT = 5


def merge(checkpoint: Checkpoint = leader.still_leads) -> int:
    """Merge all that compaction has closed; return how many stretches were. ``checkpoint`` is called before each."""
    storage, done = get_storage(), 0
    while _merge_next(storage, checkpoint):
        done += 1
    return done


def trim(now: float | None = None, checkpoint: Checkpoint = leader.still_leads) -> dict[str, int]:
    """Delete merged sightings, and findings and exemplars that are old; return how many. Ignored findings stay."""
    storage, instant = get_storage(), int(time.time() if now is None else now)
    checkpoint()
    merged, gone = storage.marks([MARK]).get(MARK, 0), 0
    while (chunk := storage.trim_sightings(merged, TRIM_CHUNK)) == TRIM_CHUNK:
        gone += chunk
        checkpoint()
    keep_open_s = MetricsSettings.get().keep_1d_s
    return {
        "sightings": gone + chunk,
        "findings": storage.trim_findings(lifecycle.RESOLVED, instant - KEEP_RESOLVED_S, TRIM_CHUNK)
        + storage.trim_findings(lifecycle.SUSPECTED, instant - KEEP_SUSPECTED_S, TRIM_CHUNK)
        + storage.trim_findings(lifecycle.OPEN, instant - keep_open_s, TRIM_CHUNK),
        "exemplars": storage.trim_exemplars(instant - KEEP_EXEMPLARS_S, SLOWEST, RECENT),
    }


def register_jobs() -> None:
    """Register both with the leader."""
    leader.register_job("findings", MERGE_EVERY_S, merge)
    leader.register_job("trim findings", TRIM_EVERY_S, trim)


def _merge_next(storage: Storage, checkpoint: Checkpoint) -> bool:
    """Merge up to the end of the first minute that has sightings, or, where none has any, all that is closed."""
    marks = storage.marks([MARK, watermark(MINUTE_S)])
    mark, end = marks.get(MARK), marks.get(watermark(MINUTE_S), 0)
    if mark is not None and mark >= end:
        return False
    first = storage.first_sighting(mark)
    if first is not None:
        minute = first - first % MINUTE_S
        start, end = minute if mark is None else mark, min(end, minute + MINUTE_S)
    elif mark is not None:
        start = mark
    else:
        return False
    if end <= start:
        return False
    checkpoint()
    seen = by_finding(storage.sightings(start, end)) if first is not None and first < end else {}
    _merge(storage, seen, start, end)
    checkpoint()
    if not storage.move_mark(MARK, mark, end):
        raise leader.LeaseLost
    return True


def _merge(storage: Storage, seen: Mapping[str, Sequence[StoredSighting]], start: int, end: int) -> None:
    unsettled = (lifecycle.OPEN, lifecycle.IGNORED, lifecycle.SUSPECTED)
    held = {row.id: row for row in storage.findings(states=unsettled)}
    # Of resolved ones, those that may be about to come back.
    late = storage.findings(states=(lifecycle.RESOLVED,), since=start - KEEP_SUSPECTED_S)
    held.update({row.id: row for row in late if lifecycle.is_pending(row)})
    held.update({row.id: row for row in storage.findings(ids=[each for each in seen if each not in held])})
    ran = Ran(end)
    for each in {**held, **seen}:
        _advance(storage, each, held.get(each), seen.get(each, ()), start, ran)


def _advance(
    storage: Storage,
    each: str,
    held: StoredFinding | None,
    sightings: Sequence[StoredSighting],
    start: int,
    ran: Ran,
) -> None:
    for _ in range(TRIES):
        if held is not None and held.merged_to >= ran.end:
            return  # a leader that did not come to the end has done this one
        if held is None and not sightings:
            return  # it was trimmed a moment ago
        since = start if held is None else max(start, held.merged_to)
        new = [row for row in sightings if row.start >= since]
        times = ran.of(held if held is not None else lifecycle.begun(new), since)
        after = lifecycle.advance(held, new, times, ran.end)
        # Where nothing happened, nothing is written: what is counted next time begins at the mark again.
        if held is not None and not new and after._replace(merged_to=held.merged_to) == held:
            return
        if storage.move_finding(held, after):
            return
        held = next(iter(storage.findings(ids=[each])), None)
    raise leader.LeaseLost

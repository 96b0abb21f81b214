"""Compact a known history in children that are killed at random; print what the store says afterwards as JSON.

Run by test_compaction_killed.py in a folder of its own: ``python -m tests.integration.compaction_under_fire KILLS``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from uuid import UUID

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from django.db import connections

from perfsuite.metrics import compaction, query
from perfsuite.metrics.histogram import Histogram
from perfsuite.metrics.identity import describe
from perfsuite.metrics.models import Bucket, Mark
from perfsuite.metrics.storages import RESOLUTIONS, BucketRow, get_storage
from perfsuite.metrics.storages.alias import store_alias

HISTORY_S = 3 * 3_600
WRITERS = 3
LABELS = [("2xx",), ("4xx",), ("5xx",)]
NOTHING = lambda: None  # noqa: E731


def write_history(start: int, rng: random.Random) -> Histogram:
    """Write three hours of three writers and return all of their values, merged."""
    storage, whole, rows = get_storage(), Histogram(), []
    storage.announce([describe("requests.status", labels) for labels in LABELS], start)
    for at in range(start, start + HISTORY_S, 10):
        for _ in range(WRITERS):
            labels = rng.choice(LABELS)
            value = Histogram()
            for _ in range(rng.randint(1, 5)):
                value.add(rng.lognormvariate(9, 2))
            whole.merge(value)
            series = describe("requests.status", labels).id
            row_id = UUID(int=rng.getrandbits(128))
            numbers = (value.count, value.sum, value.min, value.max, value.to_bytes())
            rows.append(BucketRow(row_id, 10, at, "requests.status", series, *numbers))
    storage.append(rows)
    return whole


def compact_in_a_child(now: float, patience_s: float) -> bool:
    """Compact in a forked child and kill it after ``patience_s``; return whether the kill came before its end."""
    connections.close_all()
    pid = os.fork()
    if not pid:
        compaction.compact(now, checkpoint=NOTHING)
        os._exit(0)
    time.sleep(patience_s)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def says(start: int, whole: Histogram) -> list[str]:
    """Compare each resolution, and the read side, with the values that were written; return what differs."""
    wrong = []
    for resolution in RESOLUTIONS[:-1]:
        found = Histogram()
        for row in Bucket.objects.using(store_alias()).filter(resolution=resolution):
            found.merge_stored(row.count, row.sum, row.min, row.max, bytes(row.histogram))
        if (found.count, found.buckets) != (whole.count, whole.buckets):
            wrong.append(f"{resolution} s: {found.count} values instead of {whole.count}")
    read = query.totals("requests.status", query.Window(start, start + HISTORY_S))
    if (read.count, read.buckets) != (whole.count, whole.buckets):
        wrong.append(f"read: {read.count} values instead of {whole.count}")
    return wrong


def main(kills: int) -> None:
    rng = random.Random(kills)
    start = int(time.time()) // 86_400 * 86_400 - 6 * 3_600
    whole = write_history(start, rng)
    now = start + HISTORY_S + 2 * compaction.GRACE_S
    killed, wrong = 0, []
    while killed < kills:
        if compact_in_a_child(now, rng.uniform(0.005, 0.12)):
            killed += 1
            wrong += differences_to_a_reader(start, whole)
            continue
        wrong += says(start, whole)
        Bucket.objects.using(store_alias()).exclude(resolution=10).delete()
        Mark.objects.using(store_alias()).all().delete()
    compaction.compact(now, checkpoint=NOTHING)
    wrong += says(start, whole)
    print(json.dumps({"killed": killed, "values": whole.count, "wrong": wrong[:5]}))


def differences_to_a_reader(start: int, whole: Histogram) -> list[str]:
    """What a panel would read right after the kill, before anybody mends anything."""
    read = query.totals("requests.status", query.Window(start, start + HISTORY_S))
    return (
        [] if read.count == whole.count else [f"after a kill: {read.count} values instead of {whole.count}"]
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))

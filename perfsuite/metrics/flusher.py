"""The flusher: a daemon thread that writes what the recorder holds, and beats the leader's heart.

It starts with the first value recorded in a process, so a fork before that needs no care and one after it starts its own. It
replaces no signal handler: the final flush is an ``atexit`` function, which gunicorn, mod_wsgi and management commands run. A
server that ends by re-raising its signal, as uvicorn does, needs ``perfsuite.metrics.asgi.with_lifespan``.

While the store is away, what was taken waits in ``pending``, bounded; each batch keeps its ids, so that writing one again whose
outcome is unknown counts nothing twice.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import random
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from uuid import uuid4

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics import exemplars, kinds, leader, sightings
from perfsuite.metrics.compaction import earliest_open
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.identity import describe, row_id
from perfsuite.metrics.recorder import recorder
from perfsuite.metrics.request import suppress
from perfsuite.metrics.storages import (
    BucketRow,
    SeriesRow,
    Storage,
    StoredExemplar,
    StoredSighting,
    get_storage,
)
from perfsuite.timing import elapsed_us

logger = logging.getLogger("perfsuite.metrics")

RESOLUTION_S = 10
FIRST_FLUSH_S = 1.0
TICK_S = 5.0
FINAL_FLUSH_S = 2.0
DAY_S = 86_400
# Series are announced again after this long, should their descriptions have gone with a store that was replaced.
ANNOUNCE_AGAIN_S = 3_600
# What waited longer than this is stamped with a later time than its own, so that its minute cannot close while it is written.
MAX_AGE_S = 20
# So many characters of sightings' and exemplars' texts weigh as much as one row of numbers while they wait.
CHARS_PER_ROW = 1_000
# A batch that a working store refuses this often would keep all later ones from it; it is dropped and counted.
MAX_REFUSALS = 3


@dataclass
class Batch:
    """What one flush took: rows without their start, whether they were tried before, and how often the store refused them."""

    at: int
    rows: list[BucketRow]
    series: dict[str, SeriesRow]
    sightings: list[StoredSighting] = field(default_factory=list)
    exemplars: list[StoredExemplar] = field(default_factory=list)
    tried: bool = False
    refused: int = 0

    def weight(self) -> int:
        """Return about how many rows of numbers would take as much memory."""
        chars = sum(len(row.about) + len(row.evidence) for row in self.sightings)
        chars += sum(len(row.data) for row in self.exemplars)
        rows = len(self.rows) + len(self.sightings) + len(self.exemplars)
        return rows + chars // CHARS_PER_ROW


class Flusher:
    """Moves this process's numbers into the store; made once per process as ``flusher``."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._writer = uuid4().hex
        self._sequence = 0
        self._announced: dict[str, int] = {}
        self._stopped = False
        self.pending: deque[Batch] = deque()
        self.error = ""

    def start(self) -> None:
        """Start the thread, unless it runs, nothing is to be measured, or this is a test run."""
        if self._thread is None and not self._stopped and not in_test_run() and MetricsSettings.get().enabled:
            self._thread = threading.Thread(target=self._run, name="perfsuite-flusher", daemon=True)
            self._thread.start()

    def flush(self, wait_s: float = 60.0) -> bool:
        """Write all that this process has measured; return whether all of it is in the store now.

        Never raises. Values recorded meanwhile wait for the next flush. Waits at most ``wait_s`` for a flush that is under way.
        """
        if not self._lock.acquire(timeout=wait_s):
            return False
        try:
            with suppress():
                try:
                    self._take()
                except Exception:
                    logger.exception("What was measured since the last flush could not be taken and is lost.")
                return self._write_pending()
        except Exception:
            logger.exception("A flush failed; the site is not affected.")
            return False
        finally:
            self._lock.release()

    def stop(self) -> None:
        """Flush for the last time in this process, unless the store was away a moment ago, and give up the lead."""
        self._stopped = True
        self._wake.set()
        # Where the thread never started this is a test run, or was one until a moment ago.
        if self.error or self._thread is None:
            return
        if self.flush(wait_s=FINAL_FLUSH_S):
            leader.resign()

    def _run(self) -> None:
        next_flush = time.monotonic() + FIRST_FLUSH_S
        next_tick = next_flush + TICK_S
        while True:
            self._wake.wait(max(0.0, min(next_flush, next_tick) - time.monotonic()))
            if self._stopped or in_test_run():
                return
            now = time.monotonic()
            if now >= next_flush:
                self.flush()
                next_flush = now + MetricsSettings.get().flush_interval_s * random.uniform(0.9, 1.1)  # noqa: S311
            if now >= next_tick:
                leader.tick()
                next_tick = now + TICK_S * random.uniform(0.9, 1.1)  # noqa: S311
            close_store()

    def _take(self) -> None:
        taken = recorder.take()
        # After the recorder's, which works out what requests came to, and sights and remembers on the way.
        self._sequence += 1
        writer = f"{self._writer}:{self._sequence}"
        seen, remembered = sightings.take(writer), exemplars.take(writer)
        if not (taken or seen or remembered):
            return
        rows, series = [], {}
        for (kind, labels), value in taken.items():
            if not value.count:  # its only value was refused
                continue
            described = describe(kind, labels)
            series[described.id] = described
            numbers = (value.count, value.sum, value.min, value.max, value.to_bytes())
            rows.append(
                BucketRow(row_id(writer, described.id), RESOLUTION_S, 0, kind, described.id, *numbers)
            )
        batch = Batch(int(time.time()), rows, series, seen, remembered)
        self._make_room(MetricsSettings.get().max_pending_rows - batch.weight())
        self.pending.append(batch)

    def _make_room(self, limit: int) -> None:
        """Drop the oldest batches until the others have no more than ``limit`` rows."""
        while self.pending and sum(batch.weight() for batch in self.pending) > limit:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        dropped = self.pending.popleft()
        for row in dropped.rows:
            if (
                row.kind == kinds.SELF_DROPPED.name
            ):  # what was counted of an earlier drop is not lost with this one
                recorder.observe(row.kind, tuple(json.loads(dropped.series[row.series].labels)), row.sum)
            else:
                recorder.observe(kinds.SELF_DROPPED.name, (row.kind,), row.count)
        _drop_findings(dropped)

    def _write_pending(self) -> bool:
        try:
            storage = get_storage()
            while self.pending:
                self._write(storage, self.pending[0])
                self.pending.popleft()
        except StoreUnavailable as exc:
            self._note(str(exc))
            return False
        except Exception as exc:  # noqa: BLE001 - a storage may be anyone's
            self._note(f"The metrics store refused a batch with {type(exc).__name__}: {exc}.")
            self.pending[0].refused += 1
            if self.pending[0].refused >= MAX_REFUSALS:
                self._drop_oldest()
            return False
        self._note("")
        return True

    def _write(self, storage: Storage, batch: Batch) -> None:
        started = time.perf_counter()
        self._announce(storage, batch)
        again, batch.tried = batch.tried, True
        start = _stamp(storage, batch)
        storage.append([row._replace(start=start) for row in batch.rows], again=again)
        try:
            if batch.sightings:
                start = _stamp(storage, batch)  # again, should the numbers have taken long
                sighted = [row._replace(start=start) for row in batch.sightings]
                storage.append_sightings(sighted, again=again)
            if batch.exemplars:
                storage.append_exemplars(batch.exemplars, again=again)
        except StoreUnavailable:
            raise
        except Exception as exc:  # noqa: BLE001 - a storage may be anyone's
            # The numbers are there; what is refused beside them is not tried again.
            logger.error("The metrics store refused sightings or exemplars with %s.", type(exc).__name__)
            _drop_findings(batch)
        if batch.sightings or any(not row.kind.startswith("self.") for row in batch.rows):
            recorder.observe(kinds.SELF_FLUSH.name, (), elapsed_us(started))

    def _announce(self, storage: Storage, batch: Batch) -> None:
        period = batch.at // ANNOUNCE_AGAIN_S
        new = [row for row in batch.series.values() if self._announced.get(row.id) != period]
        if new:
            storage.announce(new, batch.at - batch.at % DAY_S)
            if len(self._announced) > 20_000:
                self._announced.clear()
            self._announced.update(dict.fromkeys((row.id for row in new), period))

    def _note(self, error: str) -> None:
        """Log when the store goes away and when it is back, once each."""
        if error and not self.error:
            logger.error("%s Numbers wait in memory; the site is not affected.", error)
        elif self.error and not error:
            logger.warning("The metrics store works again.")
        self.error = error
        if error:
            self._announced.clear()


def _stamp(storage: Storage, batch: Batch) -> int:
    """Return the start for rows that are written now: not in a minute that is closed, or closes while they are written."""
    at = max(batch.at, int(time.time()) - MAX_AGE_S)
    return max(at - at % RESOLUTION_S, earliest_open(storage))


def _drop_findings(batch: Batch) -> None:
    """Give up the sightings and exemplars of a batch, and count them."""
    seen, remembered = sum(row.count for row in batch.sightings), len(batch.exemplars)
    for name, count in ((sightings.NAME, seen), (exemplars.NAME, remembered)):
        if count:
            recorder.observe(kinds.SELF_DROPPED.name, (name,), count)
    batch.sightings, batch.exemplars = [], []


def in_test_run() -> bool:
    """Tell whether Django's test environment is set up in this process, by ``manage.py test`` or pytest-django."""
    test_utils = sys.modules.get("django.test.utils")
    return hasattr(getattr(test_utils, "_TestState", None), "saved_data")


def close_store() -> None:
    """Let go of this thread's connection to the store; a failure to do so is of no account."""
    try:
        get_storage().close()
    except Exception:
        logger.debug("The connection to the metrics store could not be closed.", exc_info=True)


flusher = Flusher()


def install() -> None:
    """Connect the flusher to the recorder and to the end of the process. Idempotent."""
    recorder.on_first = _on_first
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)


def _on_first() -> None:
    flusher.start()


def _at_exit() -> None:
    flusher.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=flusher._reset)  # noqa: SLF001 - its own module's

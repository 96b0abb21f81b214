"""Exemplars: single instances of a series with their details, such as its slowest statement with its text and call site.

In a process, ``remember`` keeps the slowest and the most recent of each series between two flushes. A process writes the most
recent of a series once a minute at most, and the slowest if it is slower than what it has written within an hour: on a busy site,
all of them would outweigh the numbers. The leader leaves a few of the slowest and of the most recent in the store.

What is worth remembering, and what may be remembered of it, is the caller's decision: nothing is taken out of ``data`` here.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from perfsuite.metrics import kinds
from perfsuite.metrics.guard import Guard
from perfsuite.metrics.identity import describe, row_id
from perfsuite.metrics.plain import to_json
from perfsuite.metrics.recorder import SeriesKey, recorder
from perfsuite.metrics.storages import StoredExemplar, get_storage

# Series of which a process keeps exemplars between two flushes, and characters of their details; what is beyond counts as folded.
MAX_SERIES = 500
MAX_CHARS = 2_000_000
MAX_DATA_CHARS = 20_000
# Series of which a process knows what it has written; beyond, it forgets all and begins anew.
MAX_WRITTEN = 5_000
RECENT_EVERY_S = 60
SLOWEST_FOR_S = 3_600
# The name under which exemplars stand in self.dropped and self.folded.
NAME = "exemplars"


class Instance(NamedTuple):
    """One remembered value: when, and its details as JSON."""

    value: float
    at: float
    data: str


class Written(NamedTuple):
    """What this process has written of a series: when the most recent, and when and how slow the slowest."""

    recent_at: float = -math.inf
    slowest_at: float = -math.inf
    slowest: float = -math.inf


@dataclass(frozen=True)
class ExemplarRow:
    """One exemplar as the read side gives it; ``at`` in seconds since the epoch, ``value`` in the unit of its kind."""

    at: int
    value: float
    data: dict[str, Any]


class Exemplars:
    """What this process remembers since its last flush; made once per process."""

    def __init__(self) -> None:
        self._guard = Guard("exemplars", switches_off=False)
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()  # reentrant for the same reason as the recorder's
        self._held: dict[SeriesKey, tuple[Instance, Instance]] = {}
        self._written: dict[str, Written] = {}
        self._chars = 0
        self._folded = 0

    def remember(self, kind: str, labels: tuple[str, ...], value: float, data: Mapping[str, Any]) -> None:
        """Remember an instance; see the function of this module."""
        try:
            made = Instance(float(value), time.time(), to_json(data, MAX_DATA_CHARS))
            if not math.isfinite(made.value):
                raise ValueError(f"{value!r} cannot be remembered; a value is finite.")
            with self._lock:
                self._keep((kind, labels), made)
        except Exception as exc:  # noqa: BLE001 - the guard's
            self._guard.failed(exc)

    def _keep(self, key: SeriesKey, made: Instance) -> None:
        slowest, recent = self._held.get(key, (made, made))
        first = key not in self._held
        if (first and len(self._held) >= MAX_SERIES) or self._chars + len(made.data) > MAX_CHARS:
            self._folded += 1
            return
        if not self._held:
            recorder.observe_many(())  # starts the flusher in a process that has recorded nothing yet
        before = 0 if first else _chars(slowest, recent)
        kept = (made if made.value >= slowest.value else slowest, made)
        self._held[key] = kept
        self._chars += _chars(*kept) - before

    def take(self, writer: str) -> list[StoredExemplar]:
        """Take out what is to be written of what was remembered since the last call.

        What a cap kept out is recorded. ``writer`` is this process's and this flush's.
        """
        with self._lock:
            taken, self._held, self._chars = self._held, {}, 0
            folded, self._folded = self._folded, 0
        if folded:
            recorder.observe(kinds.SELF_FOLDED.name, (NAME,), folded)
        rows: list[StoredExemplar] = []
        for key, (slowest, recent) in taken.items():
            try:
                series = describe(*key).id
                for n, each in enumerate(self._due(series, slowest, recent)):
                    made = row_id(writer, series, str(n))
                    rows.append(StoredExemplar(made, series, int(each.at), each.value, each.data))
            except Exception as exc:  # noqa: BLE001 - the guard's
                self._guard.failed(exc)
        return rows

    def _due(self, series: str, slowest: Instance, recent: Instance) -> list[Instance]:
        """Return the instances to write now, and note that they are."""
        written = self._written.get(series, Written())
        due = []
        if slowest.value > written.slowest or slowest.at - written.slowest_at >= SLOWEST_FOR_S:
            due.append(slowest)
            written = written._replace(slowest=slowest.value, slowest_at=slowest.at)
        if not 0 <= recent.at - written.recent_at < RECENT_EVERY_S:
            written = written._replace(recent_at=recent.at)
            if recent not in due:
                due.append(recent)
        if len(self._written) >= MAX_WRITTEN and series not in self._written:
            self._written.clear()
        self._written[series] = written
        return due


def _chars(slowest: Instance, recent: Instance) -> int:
    return len(slowest.data) + (0 if recent is slowest else len(recent.data))


_exemplars = Exemplars()


def remember(kind: str, labels: tuple[str, ...], value: float, data: Mapping[str, Any]) -> None:
    """Remember one instance of the series of ``kind`` with these label values, with its details, which must be JSON.

    The details are copied at once, cut to ``MAX_DATA_CHARS`` of JSON. In process, bounded, without I/O, about ten microseconds;
    never raises. ``data`` must hold nothing that identifies a person unless its owner asked for it.
    """
    _exemplars.remember(kind, labels, value, data)


def exemplars(kind: str, labels: tuple[str, ...]) -> list[ExemplarRow]:
    """Return what is remembered of a series, slowest first. Raises ``StoreUnavailable`` when the store cannot be read."""
    rows = get_storage().exemplars(describe(kind, labels).id)
    return [
        ExemplarRow(row.at, row.value, json.loads(row.data))
        for row in sorted(rows, key=lambda row: (-row.value, -row.at))
    ]


def exemplars_of(kind: str, labels: Sequence[tuple[str, ...]]) -> list[tuple[tuple[str, ...], ExemplarRow]]:
    """Return what is remembered of several series in one read, slowest first, each with the label values of its series."""
    wanted = {describe(kind, values).id: values for values in labels}
    rows = get_storage().exemplars(*wanted) if wanted else []
    rows.sort(key=lambda row: (-row.value, -row.at))
    return [(wanted[row.series], ExemplarRow(row.at, row.value, json.loads(row.data))) for row in rows]


def take(writer: str) -> list[StoredExemplar]:
    """Take out what is remembered since the last call, as rows; the flusher's."""
    return _exemplars.take(writer)


if hasattr(os, "register_at_fork"):
    # What the parent has not flushed is the parent's.
    os.register_at_fork(after_in_child=_exemplars._reset)  # noqa: SLF001 - its own module's

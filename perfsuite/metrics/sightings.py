"""Sightings: a request in which something was seen that should be changed.

``sight`` merges in process what is about the same finding; the flusher writes one row for each finding and flush, and the leader
merges the rows into findings (``perfsuite.metrics.merging``). The surprising rule: the number of the line at the call site is not
part of a finding's identity. Each deployment moves lines, and what somebody chose to ignore would come back under another id.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfsuite.metrics import kinds
from perfsuite.metrics.guard import Guard
from perfsuite.metrics.identity import digest, row_id
from perfsuite.metrics.plain import clean, to_json
from perfsuite.metrics.recorder import recorder
from perfsuite.metrics.storages import StoredSighting

# Different findings that a process keeps between two flushes; sightings of further ones are counted as folded.
MAX_FINDINGS = 500
MAX_TEXT_CHARS = 2_000
MAX_KIND_CHARS = 60
MAX_EVIDENCE_CHARS = 8_000
# The name under which sightings stand in self.dropped and self.folded.
NAME = "sightings"

_LINE = re.compile(r":\d+")


@dataclass(frozen=True)
class Sighting:
    """One request, or one run outside of requests, in which a finding was seen.

    ``kind`` is what it is ("n_plus_one", "slow", ...), ``subject`` what it is about: a fingerprint, or the route for what is
    about a whole request. ``alias`` is of ``DATABASES`` or "". ``route`` is the pattern, or "<command> migrate" and the like
    outside of requests. ``site`` is the call site, "app/views.py:42 in listing", or "". ``saving_us`` is what this request
    would have saved. ``evidence`` is JSON: counts, what the advice needs, the request's id; never the value of a parameter. It
    is not copied until the next flush, so do not change it. ``others_us`` is what each of other requests of the route would have
    saved, in which the same was seen and which are counted with this one.
    """

    kind: str
    subject: str
    alias: str
    route: str
    site: str
    saving_us: float
    evidence: Mapping[str, Any]
    others_us: Sequence[float] = ()


@dataclass
class Held:
    """What was seen of one finding since the last flush."""

    last: Sighting
    at: float
    count: int = 0
    saving_us: float = 0.0
    saving_us_max: float = 0.0


class Sightings:
    """What this process has seen since its last flush; made once per process."""

    def __init__(self) -> None:
        self._guard = Guard("sightings", switches_off=False)
        self._reset()

    def _reset(self) -> None:
        # Reentrant: the garbage collector or a signal may run code that sights while this thread holds it.
        self._lock = threading.RLock()
        self._held: dict[tuple[str, ...], Held] = {}
        self._folded = 0

    def sight(self, sighting: Sighting) -> None:
        """Count a sighting; see the function of this module."""
        try:
            # Text from anywhere is cut where it is kept, so that memory is bounded by the number of findings.
            key = (
                sighting.kind,
                sighting.subject[:MAX_TEXT_CHARS],
                sighting.alias,
                sighting.route[:MAX_TEXT_CHARS],
                sighting.site[:MAX_TEXT_CHARS],
            )
            savings_us = [_estimate(saving_us) for saving_us in (*sighting.others_us, sighting.saving_us)]
            with self._lock:
                held = self._held.get(key)
                if held is None:
                    held = self._admit(key, sighting, len(savings_us))
                    if held is None:
                        return
                held.last, held.at = sighting, time.time()
                held.count += len(savings_us)
                held.saving_us += sum(savings_us)
                held.saving_us_max = max(held.saving_us_max, *savings_us)
        except Exception as exc:  # noqa: BLE001 - the guard's
            self._guard.failed(exc)

    def _admit(self, key: tuple[str, ...], sighting: Sighting, times: int) -> Held | None:
        if len(self._held) >= MAX_FINDINGS:
            self._folded += times
            return None
        if not self._held:
            recorder.observe_many(())  # starts the flusher in a process that has recorded nothing yet
        return self._held.setdefault(key, Held(sighting, 0.0))

    def take(self, writer: str) -> list[StoredSighting]:
        """Take out all that was seen since the last call, one row for each finding, without its start.

        What a cap kept out is recorded. ``writer`` is this process's and this flush's.
        """
        with self._lock:
            taken, self._held = self._held, {}
            folded, self._folded = self._folded, 0
        if folded:
            recorder.observe(kinds.SELF_FOLDED.name, (NAME,), folded)
        rows: dict[str, StoredSighting] = {}
        for held in sorted(taken.values(), key=lambda each: each.at):
            try:
                row = _row(held, writer)
                rows[row.finding] = _together(rows[row.finding], row) if row.finding in rows else row
            except Exception as exc:  # noqa: BLE001 - the guard's
                self._guard.failed(exc)
        return list(rows.values())


def _estimate(saving_us: float) -> float:
    """Return an estimate as a number; 0 for what is none."""
    return float(saving_us) if 0.0 <= saving_us < 1e15 else 0.0


def _row(held: Held, writer: str) -> StoredSighting:
    last = held.last
    texts = (last.subject, last.alias, last.route, last.site)
    about = (clean(last.kind, MAX_KIND_CHARS), *(clean(text, MAX_TEXT_CHARS) for text in texts))
    finding = finding_id(*about)
    return StoredSighting(
        row_id(writer, finding),
        0,
        finding,
        int(held.at),
        held.count,
        held.saving_us,
        held.saving_us_max,
        json.dumps(about),
        to_json(last.evidence, MAX_EVIDENCE_CHARS),
    )


def _together(one: StoredSighting, other: StoredSighting) -> StoredSighting:
    """Merge what was seen of one finding at several lines, of which the other was seen later."""
    return other._replace(
        count=one.count + other.count,
        saving_us=one.saving_us + other.saving_us,
        saving_us_max=max(one.saving_us_max, other.saving_us_max),
    )


def finding_id(kind: str, subject: str, alias: str, route: str, site: str) -> str:
    """Return the id of the finding that is about this: 32 hexadecimal digits. The line number in ``site`` does not matter."""
    return digest(16, kind, subject, alias, route, _LINE.sub("", site)).hex()


_sightings = Sightings()


def sight(sighting: Sighting) -> None:
    """Count that something which should be changed was seen in a request; call it once per request and finding.

    In process, bounded, without I/O, some microseconds; never raises. Call it when what a request did is worked out, not while a
    statement runs. The share of requests with a sighting decides later how many without one resolve the finding.
    """
    _sightings.sight(sighting)


def take(writer: str) -> list[StoredSighting]:
    """Take out all that was seen since the last call, as rows; the flusher's."""
    return _sightings.take(writer)


if hasattr(os, "register_at_fork"):
    # What the parent has not flushed is the parent's.
    os.register_at_fork(after_in_child=_sightings._reset)  # noqa: SLF001 - its own module's

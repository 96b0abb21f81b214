"""Findings: what should be changed on the site, with the evidence for it and what somebody decided about it.

Reading counts in what the leader has not merged yet, so a finding is there as soon as the flush that brought it. The functions
raise ``StoreUnavailable`` when the store cannot be read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfsuite.metrics import lifecycle
from perfsuite.metrics.runs import Ran
from perfsuite.metrics.storages import Storage, StoredFinding, StoredSighting, get_storage

# How far the leader has merged sightings, in seconds since the epoch.
MARK = "findings:merged"
# Reading looks back no further than this for what the leader has not merged; it is behind by more only if nobody leads.
UNMERGED_S = 900
# Tries to change a finding that the leader or another person is changing too.
TRIES = 5
# Kinds that cost no time, and are worse: what reaches rows of all tenants. They stand before all that saves time.
WORSE = frozenset(["tenant"])


@dataclass(frozen=True)
class FindingRow:
    """One finding. Instants are seconds since the epoch.

    ``state`` is "open", "ignored" or "resolved"; an open one with ``regressions`` was resolved that often and came back.
    ``evidence`` holds ``count`` (sightings), ``requests`` (runs of its route since it was first seen, but not while it was
    resolved; of a finding by time, runs of its statement there), ``saving_us_total``, ``saving_us_max``, and ``last``: the
    evidence of the latest sighting, its keys being those of the kind. ``state_by`` is who set the state, "" if nobody did.
    """

    id: str
    kind: str
    subject: str
    alias: str
    route: str
    site: str
    state: str
    first_seen: int
    last_seen: int
    state_at: int
    state_by: str
    regressions: int
    evidence: Mapping[str, Any]

    @property
    def reopened(self) -> bool:
        """Whether it is open because it came back."""
        return self.state == lifecycle.OPEN and self.regressions > 0

    @property
    def remedy(self) -> str:
        """The one change that mends it and others with the same: what its latest sighting names so, else itself."""
        return str(self.evidence["last"].get("remedy") or self.id)


def findings(
    state: str | None = None, kind: str | None = None, since: float | None = None
) -> list[FindingRow]:
    """Return the findings in a state, of a kind, last seen at or after ``since``; what saves most in all first.

    Those that one change mends stand together, and where their savings together belong; before them stands what names no tenant.
    """
    if state is not None and state not in lifecycle.STATES:
        raise ValueError(f"A finding's state is one of {', '.join(lifecycle.STATES)}, not {state!r}.")
    rows = [
        row
        for row in _current(get_storage())
        if (state is None or row.state == state)
        and (kind is None or row.kind == kind)
        and (since is None or row.last_seen >= since)
    ]
    rows.sort(key=lambda row: (row.kind not in WORSE, -row.saving_us, -row.count, row.id))
    return _by_remedy([_shown(row) for row in rows])


def finding(id: str) -> FindingRow | None:  # noqa: A002 - what it is called everywhere else
    """Return one finding, or None."""
    return next((_shown(row) for row in _current(get_storage(), [id])), None)


def set_state(id: str, state: str, by: str = "") -> None:  # noqa: A002 - what it is called everywhere else
    """Set a finding to "open", "ignored" or "resolved". ``by`` is who does, as it shall be shown.

    An ignored one stays so; a resolved one opens again with the next sighting. Raises ``LookupError`` if there is none.
    """
    if state not in lifecycle.STATES:
        raise ValueError(f"A finding's state is one of {', '.join(lifecycle.STATES)}, not {state!r}.")
    storage = get_storage()
    for _ in range(TRIES):
        held = next(iter(storage.findings(ids=[id])), None)
        begun = held or _unmerged_only(storage, id)
        if begun is None:
            raise LookupError(f"There is no finding {id!r}; it may have been trimmed.")
        if storage.move_finding(held, lifecycle.moved(begun, state, int(time.time()), by[:150])):
            return
    raise RuntimeError(f"The finding {id!r} is changed by others all the time; try again.")


def _by_remedy(rows: list[FindingRow]) -> list[FindingRow]:
    """Return the rows, the largest first, in the order of what their remedies save."""
    together: dict[tuple[str, str], list[FindingRow]] = {}
    for row in rows:
        together.setdefault((row.state, row.remedy), []).append(row)

    def place(rows: list[FindingRow]) -> tuple[bool, float]:
        return rows[0].kind not in WORSE, -sum(row.evidence["saving_us_total"] for row in rows)

    return [row for each in sorted(together.values(), key=place) for row in each]


def _current(storage: Storage, ids: Sequence[str] | None = None) -> list[StoredFinding]:
    """Return the findings with what is not merged yet."""
    mark = storage.marks([MARK]).get(MARK, 0)
    now = int(time.time())
    # The sightings first: what the leader merges between the two reads is then in both, and left out below.
    seen = by_finding(storage.sightings(max(mark, now - UNMERGED_S), None))
    held = {row.id: row for row in storage.findings(ids=ids)}
    since, ran = max(mark, now - UNMERGED_S), Ran(now + 10)
    for each, rows in seen.items():
        if ids is not None and each not in ids:
            continue
        there = held.get(each)
        new = [row for row in rows if there is None or row.start >= there.merged_to]
        if new:
            times = ran.of(there if there is not None else lifecycle.begun(new), since)
            held[each] = lifecycle.advance(there, new, times, now)
    return [row for row in held.values() if row.state != lifecycle.SUSPECTED]


def _unmerged_only(storage: Storage, id: str) -> StoredFinding | None:  # noqa: A002 - as above
    """Return a finding that the leader has not made yet, without what it will count when it merges the sightings."""
    mark = storage.marks([MARK]).get(MARK, 0)
    seen = by_finding(storage.sightings(max(mark, int(time.time()) - UNMERGED_S), None)).get(id)
    return lifecycle.begun(seen) if seen else None


def by_finding(sightings: Sequence[StoredSighting]) -> dict[str, list[StoredSighting]]:
    """Return the sightings of each finding."""
    grouped: dict[str, list[StoredSighting]] = {}
    for each in sightings:
        grouped.setdefault(each.finding, []).append(each)
    return grouped


def _shown(row: StoredFinding) -> FindingRow:
    evidence = {
        "count": row.count,
        "requests": row.runs,
        "saving_us_total": row.saving_us,
        "saving_us_max": row.saving_us_max,
        "last": json.loads(row.evidence),
    }
    return FindingRow(
        row.id,
        row.kind,
        row.subject,
        row.alias,
        row.route,
        row.site,
        row.state,
        row.first_seen,
        row.last_seen,
        row.state_at,
        row.state_by,
        row.regressions,
        evidence,
    )

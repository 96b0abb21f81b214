"""Since when the uses of an index are known, and how many: the server's counters, and what collections saw before.

A server forgets at a restart or a reset, and PostgreSQL does not say since when an index is there. The collections know both.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from perfsuite.exceptions import PerfsuiteError
from perfsuite.indexes import kept
from perfsuite.indexes.compare import Present
from perfsuite.indexes.engines.base import Engine
from perfsuite.indexes.reports import IndexReport

logger = logging.getLogger("perfsuite.indexes")

# Where uses began to be counted anew later than this after a collection, those between the two may have been many.
MAX_GAP_S = 86_400
_Place = tuple[str, str]


def watched(engine: Engine, present: list[Present]) -> list[Present]:
    """Return the indexes, which were read with their usage, with what is known of it longer than the server counts.

    Reads the store if uses are counted at all; without one, or before the first collection, the server's word is all.
    """
    if all(each.uses is None for each in present):
        return present
    at, before = _collected(engine.alias)
    return [
        each
        if each.uses is None
        else _watched(each, before.get((each.table, each.name)), at, engine.counts_since_made)
        for each in present
    ]


def aware(instant: datetime) -> datetime:
    """Return the instant in UTC; pymongo gives UTC without saying so."""
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def added(now: int | None, before: int | None) -> int | None:
    """Return by how much a counter has grown; one that is smaller began anew. None without both."""
    if now is None or before is None:
        return None
    return now - before if now >= before else now


def _collected(alias: str) -> tuple[int, Mapping[_Place, IndexReport]]:
    try:
        found = kept.latest([alias])[alias].analysis
    except PerfsuiteError as exc:
        logger.debug("Uses of indexes that were collected of %s cannot be read: %s", alias, exc)
        found = None
    if found is None:
        return 0, {}
    return found.at, {(each.table, each.name): each for each in found.indexes if each.uses is not None}


def _watched(present: Present, before: IndexReport | None, at: int, counts_since_made: bool) -> Present:
    since = aware(present.since) if present.since else None
    uses = present.uses or 0
    # One of the same name that does something else has been made since.
    if before is None or before.definition != str(present.definition)[: kept.TEXT_CHARS]:
        return replace(present, watched_since=since if counts_since_made else None, watched_uses=uses)
    known = before.uses if before.watched_uses is None else before.watched_uses
    uses = (known or 0) + (added(uses, before.uses) or 0)
    begun = datetime.fromtimestamp(before.watched_at or at, UTC)
    if since and since.timestamp() > at + MAX_GAP_S:
        begun = since
    elif since and counts_since_made:
        begun = min(begun, since)
    return replace(present, watched_since=begun, watched_uses=uses)

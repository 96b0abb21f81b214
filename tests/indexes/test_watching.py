"""Since when the uses of an index are known: the server's word and that of the collection before, put together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from perfsuite.indexes import watching
from perfsuite.indexes.compare import Column, Definition, Present
from perfsuite.indexes.reports import IndexReport

NOW = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)
AT = int((NOW - timedelta(hours=6)).timestamp())


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def before(
    uses: int, *, definition: str = "(a)", days: float | None = 30, known: int | None = None
) -> IndexReport:
    at = None if days is None else int(ago(days).timestamp())
    return IndexReport(
        "default", "t", "i", "foreign", definition, uses=uses, watched_at=at, watched_uses=known
    )


@pytest.mark.parametrize(
    ("uses", "since", "earlier", "since_made", "expected"),
    [
        # Without a collection the server's word counts if it is about this index.
        (0, ago(90), None, True, (ago(90), 0)),
        (0, ago(90), None, False, (None, 0)),
        (5, ago(90), None, False, (None, 5)),
        # With one, the longer time; a server that began to count anew makes nothing forgotten.
        (0, ago(90), before(0), False, (ago(30), 0)),
        (0, ago(90), before(0), True, (ago(90), 0)),
        (0, ago(0.1), before(0), True, (ago(30), 0)),
        (0, ago(0.1), before(4), False, (ago(30), 4)),
        (2, ago(0.1), before(4, known=9), False, (ago(30), 11)),
        (6, ago(90), before(4, known=9), False, (ago(30), 11)),
        # One that was kept by a version that did not watch was there then.
        (0, ago(90), before(0, days=None), False, (datetime.fromtimestamp(AT, UTC), 0)),
        # Another index of the same name is new.
        (0, ago(90), before(7, definition="(a, b)"), False, (None, 0)),
        (0, ago(0.1), before(7, definition="(a, b)"), True, (ago(0.1), 0)),
        # pymongo's instants have no zone.
        (0, ago(3).replace(tzinfo=None), None, True, (ago(3), 0)),
    ],
)
def test_what_is_known_of_uses_is_the_servers_and_the_collections_word_together(
    uses: int,
    since: datetime,
    earlier: IndexReport | None,
    since_made: bool,
    expected: tuple[datetime | None, int],
) -> None:
    present = Present("t", "i", Definition((Column("a"),)), uses=uses, since=since)
    found = watching._watched(present, earlier, AT, since_made)
    assert (found.watched_since, found.watched_uses) == expected


def test_a_server_that_began_anew_long_after_the_last_collection_may_have_forgotten_uses() -> None:
    since = datetime.fromtimestamp(AT + watching.MAX_GAP_S + 60, UTC)
    present = Present("t", "i", Definition((Column("a"),)), uses=0, since=since)
    assert watching._watched(present, before(0), AT, counts_since_made=False).watched_since == since

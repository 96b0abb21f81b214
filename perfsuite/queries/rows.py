"""How many rows a statement returned or changed, at the price of one look at the cursor.

PostgreSQL's driver knows after ``execute``; every driver knows for what a statement changed. SQLite finds its rows while they are
fetched: there the rows of a SELECT without a LIMIT are counted in passing, a chunk at a time, by methods put on that one cursor,
which Django throws away after the statement. Those of other SELECTs are not known on SQLite.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db.models.sql.constants import GET_ITERATOR_CHUNK_SIZE

from perfsuite.metrics.guard import Guard
from perfsuite.queries.callsite import call_site
from perfsuite.queries.limits import limits

UNKNOWN = -1

guard = Guard("queries.rows")
_LIMIT = re.compile(r"\bLIMIT\s+(?:\d+|%s|\?)|\bFETCH\s+(?:FIRST|NEXT)\b|\bTOP\s*\(?\d", re.IGNORECASE)
_COUNT = re.compile(r"\s*SELECT\s+COUNT\s*\(", re.IGNORECASE)
_SELECT = re.compile(r"[\s(]*(?:SELECT|WITH)\b", re.IGNORECASE)
# An aggregate over all rows is one row. Django writes the function first.
_ONE_ROW = re.compile(r"\s*SELECT\s+(?:COUNT|SUM|AVG|MIN|MAX|EXISTS)\s*\(", re.IGNORECASE)
_GROUPED = re.compile(r"\bGROUP BY\b", re.IGNORECASE)

# Of the texts that came before: those whose cursor is worth a closer look, and of these the counts.
watched: set[str] = set()
# Those of which no cursor says how many rows there are, by the alias where that is so.
silent: dict[str, str] = {}
_counts: set[str] = set()


class Fetched:
    """What is found out about one statement while its rows are fetched. ``rows`` is -1 as long as none were asked for."""

    __slots__ = ("count", "rows", "site", "streamed")

    def __init__(self, rows: int = UNKNOWN, site: str = "") -> None:
        self.rows, self.site = rows, site
        self.count: int | None = None
        self.streamed = False


def watch_text(text: str, connection: Any) -> None:
    """Have the statements of a text looked at closely, if they may say something: the first time that the text comes."""
    if _COUNT.match(text):
        _counts.add(text)
        watched.add(text)
    elif connection.vendor != "postgresql" and _SELECT.match(text) and is_unlimited(text):
        watched.add(text)
    elif connection.vendor == "sqlite" and text.startswith("SELECT "):
        silent[text] = connection.alias


def forget_texts() -> None:
    """Forget all texts; they are found again when they come again."""
    watched.clear()
    silent.clear()
    _counts.clear()


def is_unlimited(text: str) -> bool:
    """Tell whether a SELECT may return any number of rows."""
    return not _LIMIT.search(text) and (_ONE_ROW.match(text) is None or _GROUPED.search(text) is not None)


def look_closer(context: dict[str, Any], text: str, rows: int, seconds: float) -> int | Fetched:
    """Return what a statement returned: its rows where they say nothing else, or what will be found out about it."""
    if text in _counts:
        fetched = Fetched(rows, call_site() if seconds >= limits.slow_s else "")
        _on_cursor(context["cursor"], fetched, fetchone=_fetch_count)
        return fetched
    if rows == UNKNOWN:
        if text not in watched:
            return rows
        fetched = Fetched()
        _on_cursor(context["cursor"], fetched, fetchmany=_fetch, fetchall=_fetch)
        return fetched
    if rows > limits.rows and _SELECT.match(text) and is_unlimited(text):
        return Fetched(rows, call_site())
    return rows


def _on_cursor(cursor: Any, fetched: Fetched, **methods: Callable[..., Any]) -> None:
    """Have a cursor's own methods told of; Django's wrapper of it lives for one statement, or for one block of the host's."""
    own = cursor.__dict__
    for name, method in methods.items():
        own.pop(name, None)
        fetch = getattr(cursor, name, None)
        if fetch is not None:  # what a host puts in its place may have less
            own[name] = partial(method, fetched, fetch)


def _fetch(fetched: Fetched, fetch: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    got = fetch(*args, **kwargs)
    try:
        if args and args[0] != GET_ITERATOR_CHUNK_SIZE:  # what iterator() does, and nothing else of Django's
            fetched.streamed = True
        fetched.rows = max(fetched.rows, 0) + len(got)
        if fetched.rows > limits.rows and not fetched.site and not fetched.streamed:
            fetched.site = call_site()
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)
    return got


def _fetch_count(fetched: Fetched, fetch: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    got = fetch(*args, **kwargs)
    try:
        # The one column, or the last: Django puts COUNT(*) first, and what it may add behind it is a count too.
        if got and type(got[0]) is int:
            fetched.count = got[0]
            if got[0] >= limits.large and not fetched.site:
                fetched.site = call_site()
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)
    return got

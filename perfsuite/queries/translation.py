"""djongo's SQL and the commands that it became: one statement, counted once and shown as both.

djongo parses the SQL that Django writes and sends MongoDB commands in its place: writes in ``execute``, reads when the first row
is fetched, which is after the execute wrapper has returned. So the wrapper leaves the statement where the listener of commands
finds it, and the time of a read is added to that of its statement. djongo works in one thread per connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any

from perfsuite.metrics.request import Tally, in_hand
from perfsuite.queries.fingerprint import MAX_FINGERPRINT_CHARS, MAX_SQL_CHARS, Shape
from perfsuite.queries.outside import tally_of
from perfsuite.queries.statements import Command, Entry, guard, note, shape_of
from perfsuite.queries.tracing import trace

READS = frozenset(["find", "aggregate"])
# One statement becomes one or two commands; further different ones are not told.
MAX_COMMANDS = 4


class Translated(Command):
    """SQL, and the commands that djongo has made of it so far."""

    __slots__ = ("awaits_read", "executing", "sql")

    def __init__(self, sql: str) -> None:
        super().__init__()
        self.sql = sql
        self.executing = True
        self.awaits_read = False

    def became(self, shape: Shape) -> None:
        """Note a command that djongo has made of the SQL; each connection begins with a look at the collections."""
        if (
            shape.operation != "listCollections"
            and shape not in self.shapes
            and len(self.shapes) < MAX_COMMANDS
        ):
            self.shapes += (shape,)

    def shape(self, alias: str) -> Shape:
        """Return the shape of the SQL with those of its commands."""
        sql = shape_of(self.sql, alias)
        text = " → ".join([sql.fingerprint, *(each.fingerprint for each in self.shapes)])
        return Shape(text[:MAX_FINGERPRINT_CHARS], sql.operation)


class _Here(threading.local):
    """The statement that djongo runs in this thread, or ran last, and the tally that it belongs to."""

    tally: Tally | None = None
    entry: Entry | None = None


_here = _Here()


def statement_of(tally: Tally, name: str, collection: object) -> Entry | None:
    """Return the statement that a command in this thread comes from, or None for one that djongo did not send."""
    entry = _here.entry
    if entry is None or _here.tally is not tally:
        return None
    translated: Translated = entry[0]
    if translated.executing:
        return entry
    if translated.awaits_read and name in READS and f'"{collection}"' in translated.sql:
        translated.awaits_read = False
        return entry
    return None


def note_djongo_statement(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Run a statement of djongo's and note it in the tally of the request in hand, if there is one."""
    tally = in_hand()
    if tally is None or tally.closed or not guard.on:
        tally = tally_of(tally)
        if tally is None:
            return execute(sql, params, many, context)
    translated = Translated(sql[:MAX_SQL_CHARS] if type(sql) is str else type(sql).__name__)
    entry: Entry = [translated, "", 0.0, True, None, None, None]
    _here.tally, _here.entry = tally, entry
    started = perf_counter()
    try:
        result = execute(sql, params, many, context)
        entry[3] = False
        return result
    finally:
        try:
            entry[1], entry[2] = context["connection"].alias, perf_counter() - started
            entry[4:] = trace(tally, translated.sql, entry[1], params, many, entry[2], entry[3])
            translated.executing, translated.awaits_read = False, not entry[3]
            note(tally, entry)
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)

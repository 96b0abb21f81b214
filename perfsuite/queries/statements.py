"""What statements come to: each is given its shape, counted for its route, and logged if it was slow.

Hooks only note what they see in the request's tally; the thinking is done here, once, when the request ends.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from django.db import connections

from perfsuite.metrics.guard import Guard
from perfsuite.metrics.recorder import Observation, recorder
from perfsuite.metrics.request import MAX_HELD, Tally
from perfsuite.metrics.sightings import Sighting, sight
from perfsuite.queries import findings, kinds, loading
from perfsuite.queries.conf import QuerySettings
from perfsuite.queries.fingerprint import Shape
from perfsuite.queries.fingerprint import shape as sql_shape
from perfsuite.queries.outside import Outside, is_request, may_find
from perfsuite.queries.row_findings import of_transaction, remarkable, sightings
from perfsuite.queries.rows import Fetched

logger = logging.getLogger("perfsuite.queries")

# Of others, a driver's count of rows says nothing.
WITH_ROWS = frozenset(["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"])

# The same slow statement is logged once in this long.
LOG_AGAIN_S = 60.0
MAX_LOGGED = 500

guard = Guard("queries")
_logged_at: dict[str, float] = {}
_is_mysql: dict[str, bool] = {}


class Command:
    """A command of MongoDB in a tally, in the place where SQL has its text.

    Its entry in the tally is a list and not a tuple, since a ``getMore`` adds its time to that of the ``find``. ``folded`` tells
    that it is too late for that.
    """

    __slots__ = ("documents", "folded", "shapes")

    def __init__(self, *shapes: Shape) -> None:
        self.shapes = shapes
        self.documents: int | None = None
        self.folded = False

    def returned(self, documents: int) -> None:
        """Count documents of a reply."""
        self.documents = (self.documents or 0) + documents

    def shape(self, alias: str) -> Shape:
        """Return what all commands of that shape are counted under."""
        return self.shapes[0]


# What a statement is counted under until its shape is asked for: SQL by its text, a command by the shape that it has.
Text = str | Shape

# A command in a tally: the command, the alias, the seconds it took, and whether it failed. One to which nothing will be added is
# a tuple, with its shape and its documents in place of the command. What trace() tells of it follows in both.
Entry = list[Any]
Ended = tuple[Any, ...]


def began(tally: Tally) -> None:
    """Note that a request, or a run outside of one, sends its first statement, or its first since it was last folded."""
    if isinstance(tally, Outside):
        tally.counted()
    elif not tally.folded_count:
        loading.begin(tally)


def note(tally: Tally, entry: Entry | Ended) -> None:
    """Put a command into the tally of its request, and have the tally folded when it grows large."""
    if not tally.held:
        began(tally)
    tally.commands += 1
    tally.held.append(entry)
    if len(tally.held) >= MAX_HELD:
        fold_statements((tally,), tally.route())


# Hot path: benchmarks/overhead.py
def fold_statements(tallies: Sequence[Tally], route: str) -> None:
    """Put the statements of tallies into the recorder, for the route that ran them. Never raises."""
    try:
        statements = _take(tallies, route)
        if not statements:
            return
        slow_s = QuerySettings.get().slow_query_ms / 1e3
        # A text that comes again, as in N+1 queries, is looked at once.
        us_by_text: dict[tuple[Text, str], list[float]] = {}
        firsts: dict[tuple[Text, str], tuple[Tally, Any]] = {}
        documents_by_text: dict[tuple[Text, str], list[float]] = {}
        observations: list[Observation] = []
        for its in statements:
            statement = its[1]
            what, alias, seconds, failed = statement[0], statement[1], statement[2], statement[3]
            text: Text = what
            if type(what) is not str:
                text, documents = what if type(what) is tuple else _settled(what, alias)
                if documents is not None:
                    documents_by_text.setdefault((text, alias), []).append(documents)
            values = us_by_text.get((text, alias))
            if values is None:
                values = us_by_text[text, alias] = []
                firsts[text, alias] = its
            values.append(seconds * 1e6)
            if failed or seconds >= slow_s:
                observations += _remarkable(shape_of(text, alias), its, route, slow_s)
        observations += _by_text(us_by_text, firsts, route)
        for (text, alias), documents in documents_by_text.items():
            observations.append(
                (kinds.DOCUMENTS, (shape_of(text, alias).fingerprint, alias, route), documents)
            )
        observations += _rows(statements, route)
        recorder.observe_many(tuple(observations))
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)


def _take(tallies: Sequence[Tally], route: str) -> list[tuple[Tally, Any]]:
    """Take the statements out of the tallies, each with its own, and sight what those of each request come to."""
    statements: list[tuple[Tally, Any]] = []
    for tally in tallies:
        if tally.held:
            taken = tally.take_held()
            statements += [(tally, statement) for statement in taken]
            if may_find(tally) and findings.may_hold_findings(tally, taken):
                findings.tell(tally, *_plain(taken), route)
            tally.seen.clear()
            _look_at(tally, taken, route)
        if tally.notes is not None:
            _look_at_notes(tally, route)
    return statements


def _rows(statements: list[tuple[Tally, Any]], route: str) -> Iterator[Observation]:
    """Yield how many rows the statements returned or changed, those of which that is known."""
    by_text: dict[tuple[str, str], list[float]] = {}
    for _, statement in statements:
        rows = statement[-1]
        if rows.__class__ is Fetched:
            rows = rows.rows
        # SQLite says none of what returns something, before that is fetched.
        if rows.__class__ is int and (rows > 0 or (rows == 0 and " RETURNING " not in statement[0])):
            by_text.setdefault((statement[0], statement[1]), []).append(rows)
    for (text, alias), known in by_text.items():
        fingerprint, operation = shape_of(text, alias)
        if operation in WITH_ROWS:
            yield kinds.ROWS, (fingerprint, alias, route), known


def _look_at(tally: Tally, statements: Sequence[Any], route: str) -> None:
    """Sight what the rows of a tally's statements come to, and add up the time of its commands."""
    if tally.commands:
        tally.mongodb_s += sum([each[2] for each in statements if type(each[0]) is not str])
    if (places := remarkable(statements)) and is_request(tally):
        for sighting in sightings(statements, places, route, _fingerprint):
            _sight(sighting, tally)


def _look_at_notes(tally: Tally, route: str) -> None:
    """Sight the transactions that a request has held long."""
    transactions, tally.notes.transactions = tally.notes.transactions, []
    if is_request(tally):
        for transaction in transactions:
            _sight(of_transaction(transaction, route), tally)


def _sight(sighting: Sighting, tally: Tally) -> None:
    sight(replace(sighting, evidence={**sighting.evidence, "request_id": findings.request_id(tally)}))


def _fingerprint(text: Text, alias: str) -> str:
    return shape_of(text, alias).fingerprint


def _by_text(
    us_by_text: dict[tuple[Text, str], list[float]],
    firsts: dict[tuple[Text, str], tuple[Tally, Any]],
    route: str,
) -> Iterator[Observation]:
    """Yield what is counted of all statements, and remember the first of each series as an exemplar."""
    for (text, alias), values in us_by_text.items():
        shape = shape_of(text, alias)
        labels = (shape.fingerprint, alias, route)
        yield kinds.ALL, (alias, shape.operation), values
        yield kinds.FINGERPRINT, labels, values
        if findings.is_first(labels):
            findings.remember(labels, shape, *firsts[text, alias])


def shape_of(text: Text, alias: str) -> Shape:
    """Return the shape of a statement: what a command has already, and SQL gets by its database's reading of quotes."""
    if type(text) is not str:
        return text  # type: ignore[return-value]  # mypy does not narrow by type()
    if alias not in _is_mysql:
        _is_mysql[alias] = connections[alias].vendor == "mysql"
    return sql_shape(text, _is_mysql[alias])


def _plain(statements: list[Any]) -> tuple[list[Any], Callable[[Any, str], Shape]]:
    """Return statements as repeats.py takes them, and what gives their shapes: commands by their shape, djongo's by its SQL."""
    if {type(each[0]) for each in statements} == {str}:
        return statements, shape_of
    plain, shapes = [], dict[tuple[Any, str], Shape]()
    for each in statements:
        what, alias = each[0], each[1]
        if type(what) is not str:
            shape = _shape(what, alias)
            what = getattr(what, "sql", shape)
            shapes[what, alias] = shape
        plain.append((what, *each[1:]))
    return plain, lambda text, alias: shapes.get((text, alias)) or shape_of(text, alias)


def _shape(what: Any, alias: str) -> Shape:
    return what[0] if type(what) is tuple else what.shape(alias)  # type: ignore[no-any-return]  # a command


def _settled(command: Any, alias: str) -> tuple[Shape, int | None]:
    """Return the shape of a command that is counted now, and the documents it returned."""
    command.folded = True
    return command.shape(alias), command.documents


def _remarkable(shape: Shape, its: tuple[Tally, Any], route: str, slow_s: float) -> Iterator[Observation]:
    """Yield what is counted of a slow or failed statement, remember it, and log and sight a slow one."""
    tally, statement = its
    alias, seconds, failed = statement[1], statement[2], statement[3]
    labels = (shape.fingerprint, alias, route)
    findings.remember(labels, shape, tally, statement)
    if seconds >= slow_s:
        yield kinds.SLOW, labels, seconds * 1e6
        _log_slow(*labels, seconds, slow_s)
        if may_find(tally):
            findings.tell_slow(labels, shape, tally, statement, slow_s)
    if failed:
        yield kinds.FAILED, labels, seconds * 1e6


def _log_slow(fingerprint: str, alias: str, route: str, seconds: float, slow_s: float) -> None:
    now = time.monotonic()
    if now - _logged_at.get(fingerprint, -LOG_AGAIN_S) < LOG_AGAIN_S:
        return
    if len(_logged_at) >= MAX_LOGGED:
        _logged_at.clear()
    _logged_at[fingerprint] = now
    logger.warning(
        "Slow query on %r in %s: %.0f ms (threshold %.0f ms): %s",
        alias,
        route,
        seconds * 1e3,
        slow_s * 1e3,
        fingerprint,
    )

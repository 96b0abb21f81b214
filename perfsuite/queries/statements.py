"""What statements come to: each is given its shape, counted for its route, and logged if it was slow.

Hooks only note what they see in the request's tally; the thinking is done here, once, when the request ends.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from perfsuite.metrics.guard import Guard
from perfsuite.metrics.histogram import Histogram
from perfsuite.metrics.recorder import Observation, recorder
from perfsuite.metrics.request import MAX_HELD, Tally
from perfsuite.metrics.sightings import Sighting, sight
from perfsuite.queries import findings, kinds, loading
from perfsuite.queries.conf import QuerySettings
from perfsuite.queries.dialects import dialect_of
from perfsuite.queries.fingerprint import Shape
from perfsuite.queries.outside import Outside, is_request, may_find
from perfsuite.queries.pattern import WIDTH, Columns, columns_of
from perfsuite.queries.repeats import READS, WRITES
from perfsuite.queries.row_findings import of_commands, of_transaction, remarkable, sightings
from perfsuite.queries.rows import UNKNOWN, Fetched

logger = logging.getLogger("perfsuite.queries")

# Of others, a driver's count of rows says nothing.
WITH_ROWS = frozenset(["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"])

# The same slow statement is logged once in this long.
LOG_AGAIN_S = 60.0
MAX_LOGGED = 500

# Of so many times of a text, those that are alike are counted once for both series that they are of.
SHARED_FROM = 16

guard = Guard("queries")
_logged_at: dict[str, float] = {}


class Command:
    """A command of MongoDB in a tally, in the place where SQL has its text.

    Its entry in the tally is a list and not a tuple, since a ``getMore`` adds its time to that of the ``find``. ``folded`` tells
    that it is too late for that.
    """

    __slots__ = ("documents", "folded", "shapes", "site")

    def __init__(self, *shapes: Shape) -> None:
        self.shapes = shapes
        self.documents: int | None = None
        self.folded = False
        # The line that reads more documents than there may be, where nothing says how many come.
        self.site = ""

    def counted(self, documents: int) -> None:
        """Count documents of a reply: those that it brings, or those that the command has changed."""
        self.documents = (self.documents or 0) + documents

    def shape(self, alias: str) -> Shape:
        """Return what all commands of that shape are counted under."""
        return self.shapes[0]


# What a statement is counted under until its shape is asked for: SQL by its text, a command by the shape that it has.
Text = str | Shape
TOLD = frozenset([str, Shape])

# What the documents of a command are counted as: what it returned, or, as in SQL, the rows that it changed.
_DOCUMENTS = {**dict.fromkeys(READS, kinds.DOCUMENTS), **dict.fromkeys(WRITES, kinds.ROWS)}

# A command in a tally: the command, the alias, its seconds, whether it failed, and what trace_command() tells of it. One to
# which nothing will be added is a tuple as sql.py notes them, with its shape in place of a text, and its documents for the rows.
Entry = list[Any]
Ended = tuple[Any, ...]
NONE: set[tuple[Shape, str]] = set()


class Taken(NamedTuple):
    """A tally with its statements, by columns too if it is one of several of SQL alone, and those told as repetitions."""

    tally: Tally
    statements: list[Any]
    columns: Columns | None
    repeated: set[tuple[Shape, str]]

    def worth_a_look(self, slow_s: float) -> list[Any]:
        """Return the statements that were slow or failed."""
        if (
            self.columns is not None
            and max(self.columns.seconds) < slow_s
            and True not in self.columns.failed
        ):
            return []
        return [each for each in self.statements if each[3] or each[2] >= slow_s]

    def tells_of_rows(self) -> bool:
        """Tell whether a cursor said anything of its rows; of commands, documents are counted."""
        if self.columns is None:
            return True
        return type(self.columns.texts[0]) is str and self.columns.rows.count(UNKNOWN) < len(self.statements)


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
        taken = _take(tallies, route)
        if not taken:
            return
        slow_s = QuerySettings.get().slow_query_ms / 1e3
        sums = Sums()
        observations: list[Observation] = []
        for each in taken:
            sums.add(each)
            for statement in each.worth_a_look(slow_s):
                what, alias = statement[0], statement[1]
                shape = _shape(what, alias)
                observations += _remarkable(shape, (each.tally, statement), route, slow_s, each.repeated)
        observations += sums.observations(route)
        observations += _rows(taken, route)
        recorder.observe_many(tuple(observations))
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)


def _histogram_of(values: list[float]) -> Histogram:
    made = Histogram()
    made.add_many(values)
    return made


class Sums:
    """The times of the statements of a route by their text, the documents of its commands, and the first of each text."""

    def __init__(self) -> None:
        self._us: dict[tuple[Text, str], list[float]] = {}
        self._firsts: dict[tuple[Text, str], tuple[Tally, Any]] = {}
        self._documents: dict[tuple[Text, str], list[float]] = {}

    # Hot path: benchmarks/overhead.py
    def add(self, taken: Taken) -> None:
        """Add the statements of a tally. A text that comes again, as in N+1 queries, is looked at once."""
        tally, statements, columns = taken.tally, taken.statements, taken.columns
        if columns is not None:
            text, alias = columns.texts[0], columns.aliases[0]
            if columns.texts.count(text) == columns.aliases.count(alias) == len(statements):
                values = self._values(text, alias, tally, statements[0])
                values += [seconds * 1e6 for seconds in columns.seconds]
                if type(text) is Shape:
                    self._documents_of(text, alias).extend([each for each in columns.rows if each != UNKNOWN])
                return
        last: Any = None
        last_alias = ""
        counted: list[float] | None = None
        for statement in statements:
            what, alias = statement[0], statement[1]
            if what is not last or alias is not last_alias:
                last, last_alias = what, alias
                counted = self._documents_of(what, alias) if type(what) is Shape else None
                key: Text = what
                if type(what) not in TOLD:
                    key, documents = _settled(what, alias)
                    if documents is not None:
                        self._documents_of(key, alias).append(documents)
                values = self._values(key, alias, tally, statement)
            values.append(statement[2] * 1e6)
            if counted is not None and statement[-1] != UNKNOWN:
                counted.append(statement[-1])

    def _documents_of(self, key: Text, alias: str) -> list[float]:
        return self._documents.setdefault((key, alias), [])

    def _values(self, key: Text, alias: str, tally: Tally, statement: Any) -> list[float]:
        """Return the times of a text, of which this may be the first statement."""
        values = self._us.get((key, alias))
        if values is None:
            values = self._us[key, alias] = []
            self._firsts[key, alias] = tally, statement
        return values

    def observations(self, route: str) -> Iterator[Observation]:
        """Yield what is counted of all statements, and remember the first of each series as an exemplar."""
        for (text, alias), values in self._us.items():
            shape = shape_of(text, alias)
            labels = (shape.fingerprint, alias, route)
            times = values if len(values) < SHARED_FROM else _histogram_of(values)
            yield kinds.ALL, (alias, shape.operation), times
            yield kinds.FINGERPRINT, labels, times
            if findings.is_first(labels):
                findings.remember(labels, shape, *self._firsts[text, alias])
        for (text, alias), documents in self._documents.items():
            fingerprint, operation = shape_of(text, alias)
            if documents and operation in _DOCUMENTS:
                yield _DOCUMENTS[operation], (fingerprint, alias, route), documents


def _take(tallies: Sequence[Tally], route: str) -> list[Taken]:
    """Take the statements out of each tally, and sight what those of each request come to."""
    every: list[Taken] = []
    batch = findings.Batch(route)
    try:
        for tally in tallies:
            if tally.held:
                taken = _take_one(tally, batch, len(tallies) > 1)
                every.append(taken)
                tally.seen.clear()
                _look_at(taken, route)
            if tally.notes is not None:
                _look_at_notes(tally, route)
    finally:
        batch.close()
    return every


def _take_one(tally: Tally, batch: findings.Batch, is_of_several: bool) -> Taken:
    statements, repeated = tally.take_held(), NONE
    # Of one request alone, columns cost more than they save. Only commands to which something may be added are noted otherwise.
    columns = None
    if is_of_several and set(map(len, statements)) == {WIDTH}:
        columns = columns_of(statements)
        if tally.commands and len(set(map(type, columns.texts))) > 1:
            columns = None
    if may_find(tally) and findings.may_hold_findings(tally, statements):
        settled, shapes = (statements, shape_of) if columns is not None else plain(statements)
        repeated = batch.tell(tally, settled, shapes, columns, is_request(tally))
    return Taken(tally, statements, columns, repeated)


def _rows(taken: list[Taken], route: str) -> Iterator[Observation]:
    """Yield how many rows the statements returned or changed, those of which that is known."""
    by_text: dict[tuple[str, str], list[float]] = {}
    for each in taken:
        for statement in each.statements if each.tells_of_rows() else ():
            rows = statement[-1] if type(statement[0]) is str else UNKNOWN
            if rows.__class__ is Fetched:
                rows = rows.rows
            # SQLite says none of what returns something, before that is fetched.
            if rows.__class__ is int and (rows > 0 or (rows == 0 and " RETURNING " not in statement[0])):
                by_text.setdefault((statement[0], statement[1]), []).append(rows)
    for (text, alias), known in by_text.items():
        fingerprint, operation = shape_of(text, alias)
        if operation in WITH_ROWS:
            yield kinds.ROWS, (fingerprint, alias, route), known


def _look_at(taken: Taken, route: str) -> None:
    """Sight what the rows of a tally's statements come to, and add up the time of its commands."""
    tally, statements = taken.tally, taken.statements
    if tally.commands:
        tally.mongodb_s += sum([each[2] for each in statements if type(each[0]) is not str])
        if (many := [each for each in statements if each.__class__ is list and each[0].site]) and is_request(
            tally
        ):
            for sighting in of_commands(many, route):
                _sight(sighting, tally)
    if taken.tells_of_rows() and (places := remarkable(statements)) and is_request(tally):
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


def shape_of(text: Text, alias: str) -> Shape:
    """Return the shape of a statement: what a command has already, and SQL gets by its database's reading."""
    if type(text) is not str:
        return text  # type: ignore[return-value]  # mypy does not narrow by type()
    return dialect_of(alias).shape(text)


def plain(statements: list[Any]) -> tuple[list[Any], Callable[[Any, str], Shape]]:
    """Return statements as repeats.py takes them, and what gives their shapes: commands by their shape, djongo's by its SQL."""
    if TOLD.issuperset({type(each[0]) for each in statements}):
        return statements, shape_of
    plain, shapes = [], dict[tuple[Any, str], Shape]()
    for each in statements:
        what, alias = each[0], each[1]
        if type(what) not in TOLD:
            shape = what.shape(alias)
            what = getattr(what, "sql", shape)
            shapes[what, alias] = shape
            each = (what, *each[1:])  # noqa: PLW2901
        plain.append(each)
    return plain, lambda text, alias: shapes.get((text, alias)) or shape_of(text, alias)


def _shape(what: Any, alias: str) -> Shape:
    return shape_of(what, alias) if type(what) in TOLD else what.shape(alias)


def _settled(command: Any, alias: str) -> tuple[Shape, int | None]:
    """Return the shape of a command that is counted now, and the documents it returned."""
    command.folded = True
    return command.shape(alias), command.documents


def _remarkable(
    shape: Shape, its: tuple[Tally, Any], route: str, slow_s: float, repeated: set[tuple[Shape, str]]
) -> Iterator[Observation]:
    """Yield what is counted of a slow or failed statement, remember it, and log and sight a slow one.

    One that its request repeats is told as that already: there is another thing to change first.
    """
    tally, statement = its
    alias, seconds, failed = statement[1], statement[2], statement[3]
    labels = (shape.fingerprint, alias, route)
    findings.remember(labels, shape, tally, statement)
    if seconds >= slow_s:
        yield kinds.SLOW, labels, seconds * 1e6
        _log_slow(*labels, seconds, slow_s)
        if may_find(tally) and (shape, alias) not in repeated:
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

"""Follows every statement of a block or of one request, with its call site; for tests and the debug toolbar, not for production.

Nothing is captured a second time: the hooks note in tallies as ever, and what a followed tally is given comes by here. The
surprising rule: a request that begins inside of a followed block, by a test's client, is followed too, and its statements are a
unit of their own, since what two requests both read is no repetition.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextvars import Token
from typing import Any, NamedTuple

from perfsuite.metrics.request import Statement, Tally, current, in_hand
from perfsuite.queries.callsite import Seen
from perfsuite.queries.fingerprint import Shape
from perfsuite.queries.repeats import Site
from perfsuite.queries.statements import plain

# How connections keep transactions; a test runs inside of one, which its host's code does not.
TRANSACTIONS = frozenset([
    "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "commitTransaction", "abortTransaction",
])  # fmt: skip


class Ran(NamedTuple):
    """A statement that ran: what it is alike to, where, how long, and as repeats.py takes it. ``unit`` tells requests apart.

    ``by_mongodb`` says that it was a command of MongoDB.
    """

    unit: object
    shape: Shape
    alias: str
    seconds: float
    site: Site | None
    statement: Any
    by_mongodb: bool
    failed: bool


class Followed:
    """The statements of the tallies that are followed; no more than ``limit``, if there is one, and ``left_out`` are more."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.left_out = 0
        # What else was noted of the followed tallies: long transactions, and what the tenant guard judges.
        self.remarks: list[Any] = []
        self._entries: list[tuple[object, Statement]] = []

    def follow(self, tally: Tally) -> None:
        """Take what a tally holds, and from now on what it is given."""
        held = tally.held
        if not isinstance(held, _Held):
            held = tally.held = _Held(held)
            tally.seen = _EachLine()
        for statement in held.copy():
            self.add(held.unit, statement)
        held.followers = (*held.followers, self)

    def leave(self, tally: Tally) -> None:
        """Follow a tally no more."""
        if isinstance(tally.held, _Held):
            tally.held.followers = tuple(each for each in tally.held.followers if each is not self)

    def add(self, unit: object, statement: Statement) -> None:
        """Note a statement."""
        if self.limit is not None and len(self._entries) >= self.limit:
            self.left_out += 1
        else:
            self._entries.append((unit, statement))

    def remark(self, what: object) -> None:
        """Note what is no statement."""
        if self.limit is None or len(self.remarks) < self.limit:
            self.remarks.append(what)

    def ran(self) -> list[Ran]:
        """Return what has run, in the order in which it ended, but for how transactions are kept."""
        entries = list(self._entries)
        settled, shape_of = plain([statement for _, statement in entries])
        found = []
        for (unit, noted), statement in zip(entries, settled, strict=True):
            what, alias, seconds, failed = statement[:4]
            shape = shape_of(what, alias)
            if shape.operation not in TRANSACTIONS:
                by_mongodb = type(noted[0]) is not str
                found.append(
                    Ran(unit, shape, alias, seconds, statement[5], statement, by_mongodb, bool(failed))
                )
        return found


class Block:
    """Follows what runs between its two ends, in the context at hand and in those made from it."""

    def __init__(self, followed: Followed) -> None:
        self.followed = followed
        self._tally: Tally | None = None
        self._token: Token[Tally | None] | None = None

    def begin(self) -> None:
        """Follow from now on: the tally in hand, or a new one where nothing would be noted."""
        outer = in_hand()
        if outer is None or outer.closed:
            outer = Watch()
            self._token = current.set(outer)
        self._tally = outer
        self.followed.follow(outer)

    def end(self) -> None:
        """Follow no more."""
        tally, token = self._tally, self._token
        if tally is None:
            return
        self.followed.leave(tally)
        self._tally = self._token = None
        if token is not None:
            try:
                current.reset(token)
            except ValueError:  # it ends in another context than it began in
                current.set(None)
            tally.closed = True
            if tally.notes is not None:
                tally.notes.ended()


class Watch(Tally):
    """The tally of a block outside of requests; it keeps nothing, and so never comes to be folded."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.held = _PassedOn()
        self.seen = _EachLine()
        self.folded_count = 1  # what begins a request is not for it

    def route(self, status: int = 200) -> str:
        """Return what stands for a route."""
        return "<test>"

    def next_unit(self) -> None:
        """Begin a unit of its own: a request begins or ends that nothing else tells apart, where requests are not measured."""
        self.held.unit = object()  # type: ignore[attr-defined]  # what is held is _PassedOn


class _Held(deque[Statement]):
    """What a tally holds, whose followers see each statement that is put there."""

    def __init__(self, held: Iterable[Statement] = ()) -> None:
        super().__init__(held)
        self.followers: tuple[Followed, ...] = ()
        self.unit: object = object()

    def append(self, statement: Statement) -> None:
        super().append(statement)
        for each in self.followers:
            each.add(self.unit, statement)

    def copy(self) -> deque[Statement]:  # type: ignore[override]  # a plain one, which nobody follows
        return deque(self)

    def encloses(self, inner: Tally) -> None:
        """Have the followers follow a request, too."""
        for each in self.followers:
            each.follow(inner)

    def remark(self, what: object) -> None:
        """Tell the followers of what is no statement."""
        for each in self.followers:
            each.remark(what)


class _PassedOn(_Held):
    """Holds nothing itself."""

    def append(self, statement: Statement) -> None:
        for each in self.followers:
            each.add(self.unit, statement)


class _Line(Seen):
    """A statement's text whose line is looked up each time, and not only where it is not known to be the same."""

    __slots__ = ()

    def again(self) -> Site:
        return self._look()


class _EachLine(dict[Any, Any]):
    """What a tally has seen, with the line looked up of each statement and not only of what comes again and again.

    Who asks without a default only looks whether something is there, and adds nothing.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        line = super().get(key)
        if line is None and default is not None:
            line = self[key] = _Line()
        return line

    def __contains__(self, key: object) -> bool:
        return True

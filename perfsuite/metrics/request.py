"""The tally of the request in hand, shared by all apps that see a part of it.

It lives in a ContextVar, so it is right under threads and under asyncio: asgiref copies the context into the threads that
``sync_to_async`` uses, and all of them append to the same tally. Appending to a deque is atomic, so nothing is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Protocol

from django.http import HttpRequest

NOT_FOUND = "<not found>"
MIDDLEWARE = "<middleware>"

# One statement of a database: its text with placeholders, or what the app that saw it has in that place; the alias; the seconds
# it took; whether it failed; and whatever else that app tells its own fold. A plain tuple, since a request makes many, or a list
# where more time may be added to it.
Statement = tuple[Any, ...] | list[Any]

# A request that runs more statements than this has them folded while it runs, so that its tally stays small.
MAX_HELD = 1_000


class Notes(Protocol):
    """What an app has noted of a request beside its statements; made only for a request that gives a reason to."""

    def ended(self) -> None:
        """Undo what was done for this request alone. Called once when it is over; must not raise."""


class Tally:
    """What one request has done so far.

    ``commands`` of the statements are MongoDB's; ``mongodb_s`` is the time of those that are folded, and ``cache_s`` the time
    that was spent in caches, where that is known.
    """

    __slots__ = (
        "cache_s", "closed", "commands", "discarded", "folded_count", "folded_s", "held", "mongodb_s", "notes", "request",
        "request_id", "seen", "tenant_notes",
    )  # fmt: skip

    def __init__(self, request: HttpRequest | None = None) -> None:
        self.request = request
        self.held: deque[Statement] = deque()
        self.folded_count = self.commands = 0
        self.folded_s = self.mongodb_s = self.cache_s = 0.0
        self.notes: Any = None
        self.discarded = self.closed = False
        # Statements to be judged by the tenant guard of the queries app, if there are any.
        self.tenant_notes: list[Any] | None = None
        self.request_id = ""
        # What came before in this request, by whatever the app that notes it tells it apart.
        self.seen: dict[Any, Any] = {}

    def route(self, status: int = 200) -> str:
        """Return the pattern of the view that answers, never the path: ``/pages/<slug>/``."""
        match = getattr(self.request, "resolver_match", None)
        if match is not None:
            return "/" + str(match.route)
        return NOT_FOUND if status == 404 else MIDDLEWARE

    def encloses(self, inner: Tally) -> None:
        """Be told of a request that begins while this tally is the one in hand, as one of a test's client does.

        Whoever follows this tally's statements, by what is put in the place of ``held``, then follows those of that one too.
        """
        enclose = getattr(self.held, "encloses", None)
        if enclose is not None:
            enclose(inner)

    def remark(self, what: object) -> None:
        """Tell who follows this tally's statements of something beside them, when it is noted."""
        remark = getattr(self.held, "remark", None)
        if remark is not None:
            remark(what)

    def statements(self) -> tuple[int, float]:
        """Return how many statements there were and the seconds they took."""
        if not self.held:
            return self.folded_count, self.folded_s
        held = self.held.copy()  # another thread may append meanwhile
        return self.folded_count + len(held), self.folded_s + _seconds(held)

    # Hot path: benchmarks/overhead.py
    def take_held(self) -> list[Statement]:
        """Take the held statements out, counting them as folded."""
        taken: list[Statement] = []
        try:
            # One by one until there is none, since another thread may be adding or taking meanwhile; the list keeps what came
            # before the error.
            taken.extend(iter(self.held.popleft, None))
        except IndexError:
            self.folded_count += len(taken)
            self.folded_s += _seconds(taken)
        return taken


_seconds_of: Callable[[Statement], float] = itemgetter(2)


def _seconds(statements: Iterable[Statement]) -> float:
    return sum(map(_seconds_of, statements))


@dataclass
class Prompt:
    """From which duration on a request is folded as soon as it is over, so that what it logs comes at once."""

    from_s: float = 0.1


prompt = Prompt()

# Statements that a request which is over may hold for later; with more, it is folded at once.
MAX_HELD_LATER = 32

Fold = Callable[[Sequence[Tally], str], None]

current: ContextVar[Tally | None] = ContextVar("perfsuite_tally", default=None)
# The tally of the request in hand, if there is one; for hooks. To call a method of a name that is imported, Python makes a bound
# method each time, which takes several times as long as this.
in_hand: Callable[[], Tally | None] = current.get
_folds: list[Fold] = []


def on_fold(fold: Fold) -> None:
    """Have ``fold(tallies, route)`` called after requests of a route, and in between when a tally grows large. Idempotent."""
    if fold not in _folds:
        _folds.append(fold)


def fold(tallies: Sequence[Tally], route: str) -> None:
    """Let each app fold what it put into the tallies of a route's requests into the recorder."""
    for each in _folds:
        each(tallies, route)


# None would say that no request is in hand, and there statements are counted for the process.
_nobody = Tally()
_nobody.closed = True


@contextmanager
def suppress() -> Iterator[None]:
    """Record nothing that runs inside: perfsuite's own work, or a host's that should not count."""
    previous = in_hand()
    current.set(_nobody)
    try:
        yield
    finally:
        current.set(previous)


def discard_current() -> None:
    """Leave the request in hand out of all figures; the panel calls it for its own pages."""
    tally = in_hand()
    if tally is not None and tally is not _nobody:
        tally.discarded = True

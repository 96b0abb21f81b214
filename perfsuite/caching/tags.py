"""Tags: what is known of each tag's last invalidation, and what a miss remembers for the ``set`` that follows it.

An entry carries the tokens that its tags had when its computation began. Invalidating a tag gives it a new token, so all entries
that carry an older one are misses, however many there are. A token is never guessed: one that was lost is made anew, and what was
stored before is a miss.

``get`` and a later ``set`` do not say that they belong together. So a miss leaves a lease, the sequence of invalidations at that
moment, in the context of the thread or task that missed; the ``set`` of the same key, in the same context, is refused when one
of its tags was invalidated since. Leases are few per context and end with the request. A cache that has never seen a tag leaves
none; it notes the keys, and one of those is taken for missed before any invalidation.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable
from contextvars import ContextVar
from itertools import islice
from typing import Any

from django.core.signals import request_started

from perfsuite.caching.entry import Entry, Tags, Token

MAX_TAGS = 100_000
MAX_LEASES = 256
MAX_EARLY = 1_000
MAX_TAG_LENGTH = 200


class TagClock:
    """The tokens of the tags that this process knows. ``clock`` moves whenever one of them changes or is forgotten.

    ``seq`` is the newest sequence seen, of whatever tag. Where processes share the tokens it is a server's, and moves here only
    while that is away: a lease that is ahead of the server would not notice the next invalidation. Whoever changes something
    holds the lock of the cache.
    """

    __slots__ = ("_floor", "_made_up", "clock", "early", "in_use", "is_shared", "seq", "tokens")

    def __init__(self) -> None:
        self.clock = 0
        self.seq = 0
        self.tokens: dict[str, Token] = {}
        self.in_use = False
        self.is_shared = False
        self._made_up = 0  # marks the tokens that stand for those of a server that is away
        self._floor = 0  # the sequence when tokens were last forgotten
        self.early: deque[str] = deque(maxlen=MAX_EARLY)  # keys that were missed before the first tag

    def was_missed_early(self, key: str) -> bool:
        """Tell whether a key was missed before the first tag came, once for each such miss."""
        try:
            self.early.remove(key)
        except (ValueError, IndexError):  # it is not there, or others are at it
            return False
        return True

    # Hot path: benchmarks/caching.py
    def is_valid(self, entry: Entry) -> bool:
        """Tell whether all tags of an entry still have the tokens that it carries; one that is not known here has not."""
        clock, tokens = self.clock, self.tokens
        for tag, token in entry.tags:
            if tokens.get(tag) != token:
                return False
        entry.checked = clock
        return True

    def may_be_shown(self, entry: Entry) -> bool:
        """Tell whether an entry, invalid by now, was only outdated and not removed: whether it may be served as stale."""
        for tag, token in entry.tags:
            now = self.tokens.get(tag)
            if now is None or now[2] > token[0]:
                return False
        return True

    def known(self, tags: Iterable[str]) -> dict[str, Token]:
        """Return the tokens of those tags that are known here."""
        tokens = self.tokens
        return {tag: token for tag in tags if (token := tokens.get(tag)) is not None}

    def outdated(self, entries: Iterable[Entry]) -> list[str]:
        """Return those tags of entries from elsewhere of which this process knows no token, or perhaps an older one."""
        found: dict[str, None] = {}
        for entry in entries:
            for tag, token in entry.tags:
                known = self.tokens.get(tag)
                if known is None or (known != token and known[0] <= token[0]):
                    found[tag] = None
        return list(found)

    def capture(self, tags: Iterable[str]) -> Tags:
        """Return the tags with their tokens. One that is not known was not invalidated since tokens were last forgotten."""
        self.in_use = True
        self._make_room()
        return tuple([(tag, self.tokens.setdefault(tag, (self._floor, self._made_up, 0))) for tag in tags])

    def invalidate(self, tag: str, remove: bool) -> None:
        """Give a tag a new token of this process's own making."""
        self.in_use = True
        self.seq += 1
        before = self.tokens.get(tag)
        removed = self.seq if remove else before[2] if before else 0
        self.tokens[tag] = (self.seq, 0, removed)
        self.clock += 1
        self._make_room()

    def begin_at(self, seq: int) -> None:
        """Go by the sequence of a server that several processes share; leases are left from the start."""
        self.in_use = self.is_shared = True
        self.seq = max(self.seq, seq)

    def learn(self, tag: str, token: Token) -> None:
        """Take over a token from elsewhere, unless a newer one is known."""
        self.in_use = True
        if token[0] > self.seq:
            self.seq = token[0]
        before = self.tokens.get(tag)
        if before is None or token[0] > before[0] or (token[0] == before[0] and token != before):
            self.tokens[tag] = token
            self.clock += 1
            self._make_room()

    def forget(self) -> None:
        """Forget all tokens."""
        self.tokens.clear()
        self._forgotten()

    def _make_room(self) -> None:
        if len(self.tokens) > MAX_TAGS:
            for tag in list(islice(self.tokens, MAX_TAGS // 4)):
                self.tokens.pop(tag, None)
            self._forgotten()

    def _forgotten(self) -> None:
        if self.is_shared:
            self._made_up = secrets.randbits(48)
        else:
            self.seq += 1
            self._floor = self.seq
        self.clock += 1


# A lease: the key, the sequence at the miss (None once it was used), the lease before it, and how many there are.
Lease = tuple[str, "int | None", Any, int]
NO_LEASES: Lease = ("", None, None, 0)


class Leases:
    """The leases of one cache. A chain of tuples, so that a task that inherits a context cannot change its parent's."""

    __slots__ = ("variable",)

    def __init__(self) -> None:
        self.variable: ContextVar[Lease] = ContextVar("perfsuite_cache_leases", default=NO_LEASES)
        _variables.append(self.variable)

    # Hot path: benchmarks/caching.py
    def leave(self, key: str, seq: int) -> None:
        """Remember, in this context, which invalidations were known when this key was missed."""
        before = self.variable.get()
        length = before[3]
        self.variable.set((key, seq, before, length + 1) if length < MAX_LEASES else (key, seq, NO_LEASES, 1))

    def take(self, key: str) -> int | None:
        """Return the sequence at the last miss of a key in this context, once; None where there was no miss."""
        newest = lease = self.variable.get()
        while lease[2] is not None:
            if lease[0] == key:
                if lease[1] is not None:
                    self.variable.set((key, None, newest, newest[3] + 1))
                return lease[1]
            lease = lease[2]
        return None


_variables: list[ContextVar[Lease]] = []


def _forget_leases(**kwargs: object) -> None:
    for variable in _variables:
        variable.set(NO_LEASES)


request_started.connect(_forget_leases, dispatch_uid="perfsuite.caching.leases")


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the tags, each once. Whatever is no tag raises with what to write."""
    if isinstance(tags, (str, bytes)):
        raise TypeError(f"tags is {tags!r}; write a list of strings, such as [{tags!r}].")
    found = tuple(dict.fromkeys(tags))
    for tag in found:
        if not isinstance(tag, str):
            raise TypeError(f"{tag!r} is no tag; a tag is a string, such as {str(tag)!r}.")
        if not tag or len(tag) > MAX_TAG_LENGTH:
            raise ValueError(f"{tag!r} is no tag; a tag has 1 to {MAX_TAG_LENGTH} characters.")
    return found

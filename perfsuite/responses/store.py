"""Where pages are kept: a cache of ``CACHES``, which may fail in any way at any time and then has nothing.

In a ``TieredCache`` the tags are its own. In any other cache each tag is a key of its own that holds a token; a page carries the
tokens that its tags had, and is a miss when one of them is another by now, or gone. ``mark`` is taken before a view runs:
what was made while one of its tags was invalidated is not stored.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from django.core.cache import caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.signals import setting_changed

from perfsuite.caching.breaker import SharedAway
from perfsuite.caching.compute import Wanted
from perfsuite.caching.tags import checked_tags
from perfsuite.caching.tiered import TieredCache

logger = logging.getLogger("perfsuite.responses")

T = TypeVar("T")
Tokens = tuple[tuple[str, str], ...]

LOG_EVERY_S = 1.0
# After a failure in a cache that may take long to fail, it is left alone for so long.
REST_S = 0.5
# Clocks of different hosts differ; what was invalidated so shortly before a view began counts as while it ran.
CLOCKS_APART_S = 2.0
TAG_TTL_S = 7 * 86_400
TAG_PREFIX = "response.tag:"


class Faults:
    """What went wrong, said once a second."""

    def __init__(self) -> None:
        self.count = 0
        self._quiet_until = 0.0

    def add(self, exc: BaseException, what: str) -> None:
        """Count a failure, and log it unless one was logged within the last second. Never raises."""
        self.count += 1
        now = time.monotonic()
        if now < self._quiet_until:
            return
        self._quiet_until = now + LOG_EVERY_S
        with contextlib.suppress(Exception):  # a handler of the host's may be what fails
            logger.error("%s failed, and the view answers: %s: %s", what, type(exc).__name__, exc)


faults = Faults()


class Store:
    """A cache without tags of its own. Every method may be called from any thread, and none raises.

    ``is_local`` says that it answers from memory, so that an event loop may ask it; ``is_shared`` that other processes see
    what is stored, so that it can say which of them runs a view.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        cache = caches[alias]
        self.is_local = isinstance(cache, (LocMemCache, DummyCache))
        self.is_shared = not self.is_local
        # What is in memory is the process's, whichever thread asks; a connection may be a thread's own.
        self._cache: Any = cache if self.is_local else None
        self._resting_until = 0.0

    @property
    def cache(self) -> Any:
        """The cache."""
        return caches[self.alias] if self._cache is None else self._cache

    def _guarded(self, do: Callable[[], T], otherwise: T) -> T:
        if self._resting_until and time.monotonic() < self._resting_until:
            return otherwise
        try:
            return do()
        except Exception as exc:  # noqa: BLE001 - whatever a cache raises, the view answers
            faults.add(exc, f"The cache {self.alias!r}")
            if self.is_shared:
                self._resting_until = time.monotonic() + REST_S
            return otherwise

    def read(self, key: str) -> Any:
        """Return what a key holds, if its tags are as they were; else None."""
        return self._guarded(lambda: self._read(key), None)

    def peek(self, key: str) -> Any:
        """Return what memory alone can tell of a key."""
        return self.read(key) if self.is_local else None

    def _read(self, key: str) -> Any:
        cache = self.cache
        held = cache.get(key)
        if type(held) is not tuple or len(held) != 2:
            return None
        value, tokens = held
        if tokens:
            known = cache.get_many([TAG_PREFIX + tag for tag, _ in tokens])
            for tag, token in tokens:
                if known.get(TAG_PREFIX + tag) != token:
                    return None
        return value

    def read_part(self, key: str) -> Any:
        """Return what ``write_part`` stored."""
        return self._guarded(lambda: self.cache.get(key), None)

    def peek_part(self, key: str) -> Any:
        """Return what memory alone can tell of a part."""
        return self.read_part(key) if self.is_local else None

    def mark(self) -> Any:
        """Return the present, for ``write``: call it before what is stored is made."""
        return time.time()

    def write(self, key: str, value: Any, timeout_s: float, tags: Iterable[str], mark: Any) -> bool:
        """Store a value, unless one of its tags was invalidated since ``mark``; tell whether it is stored."""
        return self._guarded(lambda: self._write(key, value, timeout_s, checked_tags(tags), mark), False)

    def _write(self, key: str, value: Any, timeout_s: float, tags: tuple[str, ...], mark: Any) -> bool:
        cache = self.cache
        tokens = self._tokens(cache, tags)
        since = (mark or 0.0) - (CLOCKS_APART_S if self.is_shared else 0.0)
        if any(_made_at(token) > since for _, token in tokens):
            return False
        cache.set(key, (value, tokens), max(1, int(timeout_s)))
        return True

    def _tokens(self, cache: Any, tags: tuple[str, ...]) -> Tokens:
        known = cache.get_many([TAG_PREFIX + tag for tag in tags]) if tags else {}
        made = []
        for tag in tags:
            token = known.get(TAG_PREFIX + tag)
            if token is None:
                # Not an invalidation, so it is of no time; two that make it at once agree by add().
                cache.add(TAG_PREFIX + tag, f"0:{secrets.token_hex(8)}", TAG_TTL_S)
                token = cache.get(TAG_PREFIX + tag)
            made.append((tag, str(token)))
        return tuple(made)

    def write_part(self, key: str, value: Any, timeout_s: float) -> None:
        """Store a part of a page beside it. It has no tags: its key is known by the page alone."""
        self._guarded(lambda: self.cache.set(key, value, max(1, int(timeout_s))), None)

    def drop(self, keys: Sequence[str]) -> None:
        """Forget keys."""
        self._guarded(lambda: self.cache.delete_many(keys), None)

    def invalidate(self, tags: Iterable[str]) -> None:
        """Make everything outdated that carries one of the tags."""

        def do() -> None:
            now = time.time()
            self.cache.set_many(
                {TAG_PREFIX + tag: f"{now!r}:{secrets.token_hex(8)}" for tag in checked_tags(tags)}, TAG_TTL_S
            )

        self._guarded(do, None)

    def lock(self, key: str, ttl_s: float) -> str | None:
        """Take the turn of making a key among all processes; None if another has it."""
        token = secrets.token_hex(8)
        taken = self._guarded(lambda: self.cache.add(f"{key}.lock", token, max(1, int(ttl_s))), True)
        return token if taken else None

    def unlock(self, key: str, token: str) -> None:
        """Give the turn back, if it is still this one's."""

        def do() -> None:
            if self.cache.get(f"{key}.lock") == token:
                self.cache.delete(f"{key}.lock")

        self._guarded(do, None)


class TieredStore(Store):
    """A ``TieredCache``, which knows tags, answers from memory, and takes turns by its shared tier."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._cache = caches[alias]
        self._engine = self._cache.engine
        self.is_shared = self._engine.shared is not None
        self.is_local = not self.is_shared
        if self.is_local:
            self.peek = self.peek_part = self.read  # type: ignore[method-assign]

    # Hot path: benchmarks/responses.py
    def read(self, key: str) -> Any:
        """Return what a key holds, if its tags are as they were; else None."""
        try:
            return self._cache.get(key)
        except Exception as exc:  # noqa: BLE001 - as for any cache
            faults.add(exc, f"The cache {self.alias!r}")
            return None

    read_part = read

    def peek(self, key: str) -> Any:
        """Return what memory alone can tell of a key; None may mean that the server knows."""
        return self._guarded(lambda: self._peek(key), None)

    def peek_part(self, key: str) -> Any:
        """Return what memory alone can tell of a part; None may mean that the server knows."""
        return self.peek(key)

    def _peek(self, key: str) -> Any:
        engine = self._engine
        if engine.counter[0] != engine.seen:
            engine.catch_up()
        entry = engine.find(self._cache.make_key(key), time.time())
        return None if entry is None else entry.value()

    def mark(self) -> Any:
        """Return the sequence of the last invalidation that is known here."""
        return self._engine.tags.seq

    def _write(self, key: str, value: Any, timeout_s: float, tags: tuple[str, ...], mark: Any) -> bool:
        cache = self._cache
        if self.is_local:
            return self._keep(key, value, timeout_s, tags, mark)
        if tags:
            # As if the key had been missed when the view began, wherever and whenever that was.
            self._engine.leases.leave(cache.make_key(key), mark)
        cache.set(key, value, timeout_s, tags=tags, stale_for=0.0)
        return bool(cache.has_key(key))  # it may have been refused, or be too large for any tier

    def _keep(self, key: str, value: Any, timeout_s: float, tags: tuple[str, ...], mark: Any) -> bool:
        """Store in this process's memory, untold: no two processes make the same page, with its times and its nonce, and a
        ``set`` of one would have the other forget its own.
        """
        cache = self._cache
        held = cache.tokens(tags)
        if mark is not None and any(token[0] > mark for _, token in held):
            return False
        wanted = Wanted(cache.make_key(key), timeout_s, tags, None, 0.0)
        self._engine.leases.take(wanted.full)  # what a miss left behind; ``mark`` is older
        cache.store_computed(wanted, value, held, 0.0, replace=True)
        return bool(cache.has_key(key))

    def invalidate(self, tags: Iterable[str]) -> None:
        """Make everything outdated that carries one of the tags."""
        self._guarded(lambda: self._cache.invalidate_tags(*tags), None)

    def lock(self, key: str, ttl_s: float) -> str | None:
        """Take the turn of making a key among the processes of the shared tier."""
        shared = self._engine.shared
        if shared is None:
            return "alone"
        full = self._cache.make_key(key)

        def do() -> str | None:
            try:
                shared.reader.ensure()
                with shared.breaker.guarding():
                    token = shared.redis.lock(full, ttl_s)
            except SharedAway:
                return "alone"
            return None if token is None else token.decode("latin-1")

        otherwise: str | None = "alone"
        return self._guarded(do, otherwise)

    def unlock(self, key: str, token: str) -> None:
        """Give the turn back."""
        shared = self._engine.shared
        if shared is None or token == "alone":  # noqa: S105 - not a password
            return

        def do() -> None:
            try:
                with shared.breaker.guarding():
                    shared.redis.unlock(self._cache.make_key(key), token.encode("latin-1"))
            except SharedAway:
                pass  # it ends by itself

        self._guarded(do, None)


def _made_at(token: str) -> float:
    try:
        return float(token.partition(":")[0])
    except ValueError:
        return float("inf")


_stores: dict[str, Store] = {}


def store_of(alias: str) -> Store | None:
    """Return the process's store in a cache; None if there is no such cache or it cannot be made."""
    found = _stores.get(alias)
    if found is None:
        try:
            kind = TieredStore if isinstance(caches[alias], TieredCache) else Store
            found = _stores[alias] = kind(alias)
        except Exception as exc:  # noqa: BLE001 - a wrong alias, a missing library: the site goes on
            faults.add(exc, f"Making the cache {alias!r}")
    return found


def _follow_settings(*, setting: str, **kwargs: object) -> None:
    if setting == "CACHES":
        _stores.clear()


setting_changed.connect(_follow_settings, dispatch_uid="perfsuite.responses.store")

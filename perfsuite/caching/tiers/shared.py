"""The tier that processes share, in Redis or Valkey: what it holds is every process's, and memory has copies of it.

What fails is the server's to fail: the memory tiers go on, and what could not be changed there is written down, to be made good
before the server is used again. A value read or written is copied into memory only if no message came in between, which might
have been about it.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from perfsuite.caching.breaker import Breaker, SharedAway
from perfsuite.caching.coherence.stream import StreamReader
from perfsuite.caching.entry import BadEnvelope, Entry, Tags, decode, encode, packed
from perfsuite.caching.tiers.redis import Redis, Stored, milliseconds
from perfsuite.optional import require

if TYPE_CHECKING:
    from perfsuite.caching.engine import Engine
    from perfsuite.caching.options import CacheOptions

__all__ = ["SharedAway", "SharedTier"]

MAX_WRITTEN_DOWN = 10_000
POLL_S = (0.005, 0.05)
REPLACE_TRIES = 20
NEVER = -1  # the mark with which no copy is made, since others may count a number up


class SharedTier:
    """The shared tier of an engine. Methods raise ``SharedAway`` where the caller must know, and else do what memory can."""

    def __init__(self, engine: Engine, options: CacheOptions) -> None:
        tier = options.shared
        if tier is None:
            raise ValueError("These options have no shared tier.")
        require("django_redis", extra="redis")
        self.engine = engine
        engine.trusted_until = 0.0  # until the reader is in step
        self.options = options
        self.name = tier.name
        self._ttl_s = tier.ttl_s
        self._compress_above = tier.compress_above
        self.redis = Redis(tier.alias, f"perfsuite:{engine.name}:")
        self.breaker = Breaker(engine.name, options.failures)
        self.reader = StreamReader(self)
        self.hits = count()  # counted by those who read for a caller
        self._writing_down = threading.Lock()
        self._keys: dict[str, None] = {}
        self._tags: dict[str, bool] = {}
        self._everything = False

    def after_fork(self) -> None:
        """Be a process of its own."""
        self.redis.become_new()
        self.reader.after_fork()
        self._writing_down = threading.Lock()

    # Reading

    # Hot path: benchmarks/caching.py
    def fetch(self, full: str, now: float) -> Entry | None:
        """Return the fresh entry of a key, copied into memory, or None; also when the server is away."""
        if self.breaker.is_open or full in self._keys:
            return None
        try:
            self.reader.ensure()
            with self.breaker.guarding():
                mark = self.engine.applied
                entry = self._opened(self.redis.get(full), now)
                if entry is not None and entry.tags:
                    self._learn_tags((entry,))
        except SharedAway:
            return None
        return entry if entry is not None and self._is_fresh(full, entry, now, mark) else None

    def fetch_many(self, fulls: Sequence[str], now: float) -> dict[str, Entry]:
        """Return the fresh entries of several keys."""
        asked = [full for full in fulls if full not in self._keys]
        if not asked or self.breaker.is_open:
            return {}
        try:
            self.reader.ensure()
            with self.breaker.guarding():
                mark = self.engine.applied
                opened = [self._opened(data, now) for data in self.redis.get_many(asked)]
                found = {full: entry for full, entry in zip(asked, opened, strict=True) if entry is not None}
                self._learn_tags(found.values())
        except SharedAway:
            return {}
        return {full: entry for full, entry in found.items() if self._is_fresh(full, entry, now, mark)}

    def _opened(self, data: bytes | None, now: float) -> Entry | None:
        try:
            return None if data is None else decode(data, now)
        except BadEnvelope:
            next(self.engine.counts.damaged)
            return None

    def _learn_tags(self, entries: Iterable[Entry]) -> None:
        """See that the tokens of all tags are known; where this process is not in step, those of the server."""
        tags = {tag: None for entry in entries for tag, _ in entry.tags}
        wanted = list(tags) if self._is_out_of_step() else self.engine.tags.unknown(tags)
        if not wanted:
            return
        tokens = self.redis.held_tokens(wanted)
        with self.engine.lock:
            for tag, token in zip(wanted, tokens, strict=True):
                if token is not None:
                    self.engine.tags.learn(tag, token)

    def _is_out_of_step(self) -> bool:
        return time.time() - self.reader.synced_at > 2.0

    def _is_fresh(self, full: str, entry: Entry, now: float, mark: int) -> bool:
        is_fresh = now < entry.expires and (not entry.tags or self.engine.tags.is_valid(entry))
        if type(entry.payload) is not int:
            self._copy(full, entry, now, mark, None)  # a stale one too, to be served while it is refreshed
        return is_fresh

    def _copy(self, full: str, entry: Entry, now: float, mark: int, place: int | None) -> None:
        with self.engine.lock:
            if self.engine.applied == mark and now < entry.keep_until:
                self.engine.put(full, entry, now, place)
            else:
                self.engine.drop(full)

    # Changing

    # Hot path: benchmarks/caching.py
    def store(self, full: str, entry: Entry, now: float, place: int | None) -> None:
        """Store an entry there and in memory; in memory alone while the server is away."""
        if now >= entry.keep_until:
            self.drop_many([full])
            return
        try:
            self.reader.ensure()
            mark = self.engine.applied if type(entry.payload) is not int else NEVER
            with self.breaker.guarding():
                self.redis.set(*self._on_wire(full, entry, now))
        except SharedAway:
            self._write_down((full,))
            mark = self.engine.applied
        self._copy(full, entry, now, mark, place)

    def _on_wire(self, full: str, entry: Entry, now: float) -> Stored:
        px = milliseconds(entry.keep_until, now, self._ttl_s)
        return full, encode(entry, self._compress_above), px, entry.digest(), entry.expires

    def store_many(self, entries: dict[str, Entry], now: float) -> None:
        """Store several entries."""
        kept = {full: entry for full, entry in entries.items() if now < entry.keep_until}
        if len(kept) < len(entries):
            self.drop_many([full for full in entries if full not in kept])
        if not kept:
            return
        try:
            self.reader.ensure()
            mark, is_there = self.engine.applied, True
            with self.breaker.guarding():
                self.redis.set_many([self._on_wire(full, entry, now) for full, entry in kept.items()])
        except SharedAway:
            self._write_down(kept)
            is_there, mark = False, self.engine.applied
        for full, entry in kept.items():
            self._copy(full, entry, now, NEVER if is_there and type(entry.payload) is int else mark, None)

    def add(self, full: str, entry: Entry, now: float) -> bool:
        """Store an entry where no fresh one is, for all processes in one step."""
        args = self._on_wire(full, entry, now)
        self.reader.ensure()
        with self.breaker.guarding():
            mark = self.engine.applied
            if now >= entry.keep_until:
                return not self.fetch_many([full], now)
            if not self.redis.add(*args):
                held = self.redis.get(full)
                if held is None or self._is_good(held, now) or not self.redis.add(*args, no_longer=held):
                    return False
        if type(entry.payload) is not int:
            self._copy(full, entry, now, mark, None)
        return True

    def _is_good(self, held: bytes, now: float) -> bool:
        entry = self._opened(held, now)
        if entry is None:
            return False
        self._learn_tags((entry,))
        return now < entry.expires and self.engine.tags.is_valid(entry)

    def touch(self, full: str, expires: float, now: float) -> bool:
        """Give a key another end; tell whether it had a value."""
        self.reader.ensure()
        with self.breaker.guarding():
            held = self.redis.get(full)
            if held is None or not self._is_good(held, now):
                return False
            if now >= expires:
                self.redis.drop_many([full])
                done = True
            else:
                px = milliseconds(expires, now, self._ttl_s)
                done = self.redis.touch(full, struct.pack("<d", expires), px)
        self._forget_here([full])
        return done

    def incr(self, full: str, delta: int, now: float) -> int | None:
        """Add to a number, for all processes in one step; None where the key has no value."""
        self.reader.ensure()
        with self.breaker.guarding():
            found = self._incr_envelope(full, delta, now)
        self._forget_here([full])
        return found

    def _incr_envelope(self, full: str, delta: int, now: float) -> int | None:
        if type(delta) is int:
            found = self.redis.incr(full, delta)
            if found is None or isinstance(found, int):
                return found
        for _ in range(REPLACE_TRIES):
            held = self.redis.get(full)
            if held is None or not self._is_good(held, now):
                return None
            entry = decode(held, now)
            entry.payload, entry.form = packed(entry.value() + delta)
            if self.redis.replace(full, held, encode(entry, self._compress_above)):
                return entry.value()  # type: ignore[no-any-return]
        raise SharedAway

    def drop_many(self, fulls: Sequence[str]) -> bool:
        """Forget keys; tell whether one of them had a value."""
        now = time.time()
        here = [entry for full in fulls if (entry := self.engine.held(full)) is not None]
        was_good = any(now < entry.expires and self.engine.tags.is_valid(entry) for entry in here)
        try:
            self.reader.ensure()
            with self.breaker.guarding():
                held = self.redis.drop_many(fulls)
                was_good = any(data is not None and self._is_good(data, now) for data in held)
        except SharedAway:
            self._write_down(fulls)
        self._forget_here(fulls)
        return was_good

    def clear(self) -> None:
        """Forget everything of this cache."""
        try:
            self.reader.ensure()
            with self.breaker.guarding():
                self.redis.clear()
        except SharedAway:
            with self._writing_down:
                self._everything = True

    def _forget_here(self, fulls: Sequence[str]) -> None:
        with self.engine.lock:
            for full in fulls:
                self.engine.drop(full)

    # Tags

    def tokens(self, tags: Sequence[str]) -> Tags:
        """Return the tags with their present tokens."""
        engine = self.engine
        try:
            self.reader.ensure()
            wanted = list(tags) if self._is_out_of_step() else engine.tags.unknown(tags)
            if wanted:
                with self.breaker.guarding():
                    found = self.redis.tokens(wanted)
                with engine.lock:
                    for tag, token in zip(wanted, found, strict=True):
                        engine.tags.learn(tag, token)
        except SharedAway:
            pass
        with engine.lock:
            return engine.tags.capture(tags)

    def invalidate(self, tags: Sequence[str], remove: bool) -> None:
        """Invalidate tags everywhere; in this process alone while the server is away, and elsewhere when it is back."""
        engine = self.engine
        try:
            self.reader.ensure()
            with self.breaker.guarding():
                made = self.redis.invalidate(tags, remove)
        except SharedAway:
            with self._writing_down:
                for tag in tags:
                    self._tags[tag] = remove or self._tags.get(tag, False)
                if len(self._tags) > MAX_WRITTEN_DOWN:
                    self._everything = True
            with engine.lock:
                for tag in tags:
                    engine.tags.invalidate(tag, remove)
            return
        with engine.lock:
            for tag, token in zip(tags, made, strict=True):
                engine.tags.learn(tag, token)

    # Computing

    @contextmanager
    def turn(self, full: str) -> Iterator[Entry | None]:
        """Have the turn to compute a key among all processes, or get the value that another one has computed meanwhile."""
        token, entry = self._take_turn(full)
        try:
            yield entry
        finally:
            if token is not None:
                try:
                    with self.breaker.guarding():
                        self.redis.unlock(full, token)
                except SharedAway:
                    pass  # it ends by itself

    def _take_turn(self, full: str) -> tuple[bytes | None, Entry | None]:
        patience, pause_s = time.monotonic() + self.options.wait, POLL_S[0]
        try:
            while True:
                with self.breaker.guarding():
                    token = self.redis.lock(full, self.options.lock_ttl)
                entry = self.fetch(full, time.time())
                if token is not None or entry is not None or time.monotonic() >= patience:
                    return token, entry
                time.sleep(pause_s)
                pause_s = min(POLL_S[1], pause_s * 1.5)
        except SharedAway:
            return None, None

    def store_computed(self, full: str, entry: Entry, now: float, place: int | None, replace: bool) -> Entry:
        """Store what was computed, unless it is outdated already; what was set meanwhile stands and is returned."""
        if not self.engine.tags.is_valid(entry):
            next(self.engine.counts.refused)
            return entry
        next(self.engine.counts.sets)
        if not replace and now < entry.keep_until:
            try:
                if not self.add(full, entry, now):
                    return self.fetch(full, now) or entry
            except SharedAway:
                pass
            else:
                return entry
        self.store(full, entry, now, place)
        return entry

    # What could not be done

    def _write_down(self, fulls: Sequence[str] | dict[str, Entry]) -> None:
        with self._writing_down:
            self._keys.update(dict.fromkeys(fulls))
            if len(self._keys) > MAX_WRITTEN_DOWN:
                self._everything = True
                self._keys.clear()

    def has_to_make_good(self) -> bool:
        """Tell whether something is written down."""
        return bool(self._keys or self._tags or self._everything)

    def make_good(self) -> None:
        """Do there what could not be done, forget what memory made of it, and let calls through again. Raises if it fails."""
        was_open = self.breaker.is_open
        while True:
            with self._writing_down:
                keys, tags, everything = list(self._keys), dict(self._tags), self._everything
                if not (keys or tags or everything):
                    if was_open:
                        self.engine.forget()
                    self.breaker.close()
                    return
            if everything:
                self.redis.clear()
            elif keys:
                self.redis.drop_many(keys)
            for remove in (False, True):
                if named := [tag for tag, removes in tags.items() if removes is remove]:
                    self.redis.invalidate(named, remove)
            with self.engine.lock:
                for full in keys:
                    self.engine.drop(full)
            with self._writing_down:
                self._done(keys, tags, everything)

    def _done(self, keys: Sequence[str], tags: dict[str, bool], everything: bool) -> None:
        for full in keys:
            self._keys.pop(full, None)
        for tag, remove in tags.items():
            if self._tags.get(tag) is remove:
                del self._tags[tag]
        self._everything = self._everything and not everything

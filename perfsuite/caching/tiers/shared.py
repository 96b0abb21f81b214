"""The tier that processes share, in Redis or Valkey: what it holds is every process's, and memory has copies of it.

What fails is the server's to fail: the memory tiers go on, and what could not be changed there is written down, to be made good
before the server is used again. A value read or written is copied into memory only if no message came in between, which might
have been about it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import count
from typing import TYPE_CHECKING

from perfsuite.caching.breaker import Breaker, SharedAway
from perfsuite.caching.coherence.stream import StreamReader
from perfsuite.caching.entry import BadEnvelope, Entry, Tags, decode, encode, packed, packed_end
from perfsuite.caching.tiers.pending import Pending, Written, slices
from perfsuite.caching.tiers.redis import Redis, milliseconds
from perfsuite.caching.tiers.turns import Turn
from perfsuite.optional import require

if TYPE_CHECKING:
    from perfsuite.caching.engine import Engine
    from perfsuite.caching.options import CacheOptions

ADD_TRIES = 5
REPLACE_TRIES = 1_000
OUT_OF_STEP_S = 2.0


class SharedTier:
    """The shared tier of an engine. Methods raise ``SharedAway`` where the caller must know, and else do what memory can."""

    def __init__(self, engine: Engine, options: CacheOptions) -> None:
        tier = options.shared
        if tier is None:
            raise ValueError("These options have no shared tier.")
        require("django_redis", extra="redis")
        self.engine = engine
        engine.tags.begin_at(0)
        self.options = options
        self.name = tier.name
        self._ttl_s = tier.ttl_s
        self._compress_above = tier.compress_above
        self.redis = Redis(tier.alias, engine.name)
        self.hits = count()  # counted by those who read for a caller
        self._begin()

    def _begin(self) -> None:
        """Nobody reads the stream here until the tier is used; what memory has would go on to be served unchanged."""
        self.engine.forget()
        self.engine.trusted_until = 0.0
        self.breaker = Breaker(self.engine.name, self.options.failures)
        self.reader = StreamReader(self)
        self.pending = Pending()

    def after_fork(self) -> None:
        """Be a process of its own; what the parent has written down it makes good itself."""
        self.redis.become_new()
        self._begin()

    def follow_settings(self) -> None:
        """Begin once more with the alias as it is in the settings now."""
        self.reader.stop()
        self.after_fork()

    # Reading

    # Hot path: benchmarks/caching.py
    def fetch(self, full: str, now: float) -> Entry | None:
        """Return the fresh entry of a key, copied into memory, or None; also when the server is away."""
        if full in self.pending.keys or self.pending.everything:
            return None
        try:
            self.reader.ensure()
            with self.breaker.guarding():
                mark = self.engine.applied
                entry = self._opened(self.redis.get(full), now)
                if entry is not None and entry.tags:
                    self._learn_tags([entry])
        except SharedAway:
            return None
        return entry if entry is not None and self._is_fresh(full, entry, now, mark) else None

    def fetch_many(self, fulls: Sequence[str], now: float) -> dict[str, Entry]:
        """Return the fresh entries of several keys."""
        pending = self.pending
        asked = [full for full in fulls if full not in pending.keys] if pending.keys else fulls
        try:
            self.reader.ensure()
            if not asked or pending.everything or self.breaker.is_open:
                return {}
            with self.breaker.guarding():
                mark = self.engine.applied
                opened = [self._opened(data, now) for data in self.redis.get_many(asked)]
                found = {full: entry for full, entry in zip(asked, opened, strict=True) if entry is not None}
                self._learn_tags(list(found.values()))
        except SharedAway:
            return {}
        return {full: entry for full, entry in found.items() if self._is_fresh(full, entry, now, mark)}

    def _opened(self, data: bytes | None, now: float) -> Entry | None:
        try:
            return None if data is None else decode(data, now)
        except BadEnvelope:
            next(self.engine.counts.damaged)
            return None

    def _learn_tags(self, entries: Sequence[Entry]) -> None:
        """See that the tokens of all tags are known; where this process is not in step, those of the server."""
        pending = self.pending.tags
        if self._is_out_of_step():
            tags = list({tag: None for entry in entries for tag, _ in entry.tags})
        else:
            tags = self.engine.tags.outdated(entries)
        wanted = [tag for tag in tags if tag not in pending] if pending else tags
        if not wanted:
            return
        tokens = self.redis.held_tokens(wanted)
        with self.engine.lock:
            for tag, token in zip(wanted, tokens, strict=True):
                if token is not None:
                    self.engine.tags.learn(tag, token)

    def _is_out_of_step(self) -> bool:
        return time.time() - self.reader.synced_at > OUT_OF_STEP_S

    def _is_fresh(self, full: str, entry: Entry, now: float, mark: int) -> bool:
        """Tell whether an entry is fresh, and copy it; a stale one too, to be served while it is refreshed."""
        is_fresh = now < entry.expires and (not entry.tags or self.engine.tags.is_valid(entry))
        if type(entry.payload) is not int:
            with self.engine.lock:
                if self.engine.applied == mark and now < entry.keep_until:
                    self.engine.put(full, entry, now)
        return is_fresh

    # Changing

    def _changed(
        self, entries: dict[str, Entry | None], now: float, mark: int, place: int | None = None
    ) -> None:
        """Have in memory what this process has made of keys, unless they may have been changed again since ``mark``.

        It counts as a change itself: another thread may just have read from the server what was there before.
        """
        engine = self.engine
        with engine.lock:
            is_last = engine.applied == mark
            for full, entry in entries.items():
                if entry is not None and is_last:
                    engine.put(full, entry, now, place)
                else:
                    engine.drop(full)
            engine.applied += 1

    def _dropped(self, fulls: Iterable[str]) -> None:
        self._changed(dict.fromkeys(fulls), 0.0, -1)

    def _ready(self, full: str) -> None:
        """Raise SharedAway for a key whose value there is not what it should be."""
        self.reader.ensure()
        if self.pending.everything or full in self.pending.keys:
            raise SharedAway

    def store(self, full: str, entry: Entry, now: float, place: int | None) -> None:
        """Store an entry there and in memory; in memory alone while the server is away."""
        if now >= entry.keep_until:
            self.drop(full)
            return
        self._store_all({full: entry}, now, place)

    def store_many(self, entries: dict[str, Entry], now: float) -> None:
        """Store several entries."""
        kept = {full: entry for full, entry in entries.items() if now < entry.keep_until}
        if len(kept) < len(entries):
            self.drop_many([full for full in entries if full not in kept])
        if kept:
            self._store_all(kept, now, None)

    def _store_all(self, entries: dict[str, Entry], now: float, place: int | None) -> None:
        items = [(full, *self._wire(entry, now)) for full, entry in entries.items()]
        copies: dict[str, Entry | None] = dict(entries)
        if self.pending.keys:
            # Before: what is stored now must not be dropped as what was not stored then.
            self.pending.settle(entries)
        try:
            self.reader.ensure()
            mark = self.engine.applied
            with self.breaker.guarding():
                self.redis.set_many(items)
        except SharedAway:
            self.pending.note_keys(entries)
            mark = self.engine.applied
        else:
            # A number there may be counted up by others; memory holds it only while nobody can.
            copies = {full: None if type(each.payload) is int else each for full, each in entries.items()}
        self._changed(copies, now, mark, place)

    def _wire(self, entry: Entry, now: float) -> tuple[bytes, int | None, int, float]:
        px = milliseconds(entry.keep_until, now, self._ttl_s)
        return encode(entry, self._compress_above), px, entry.digest(), entry.expires

    def add(self, full: str, entry: Entry, now: float) -> bool:
        """Store an entry where no fresh one is, for all processes in one step."""
        data, px, digest, expires = self._wire(entry, now)
        self._ready(full)
        with self.breaker.guarding():
            mark = self.engine.applied
            if now >= entry.keep_until:
                return not self.fetch_many([full], now)
            held: bytes | None = None
            for _ in range(ADD_TRIES):
                if self.redis.add(full, data, px, digest, expires, held):
                    break
                held = self.redis.get(full)
                if held is not None and self._good(held, now) is not None:
                    return False
            else:
                return False
        self._changed({full: None if type(entry.payload) is int else entry}, now, mark)
        return True

    def _good(self, held: bytes, now: float) -> Entry | None:
        """Return what is held as an entry if that is fresh."""
        entry = self._opened(held, now)
        self._learn_tags([entry] if entry else [])
        return entry if entry and now < entry.expires and self.engine.tags.is_valid(entry) else None

    def touch(self, full: str, expires: float, now: float) -> bool:
        """Give a key another end; tell whether it had a value."""
        self._ready(full)
        with self.breaker.guarding():
            held = self.redis.get(full)
            entry = None if held is None else self._good(held, now)
            if entry is None:
                return False
            if now >= expires:
                self.redis.forget_many([full])
                done = True
            else:
                px = milliseconds(expires + entry.stale_for, now, self._ttl_s)
                done = self.redis.touch(full, packed_end(expires), px)
        self._dropped([full])
        return done

    def incr(self, full: str, delta: int, now: float) -> int | None:
        """Add to a number, for all processes in one step; None where the key has no value."""
        self._ready(full)
        with self.breaker.guarding():
            found = self._incr(full, delta, now)
        self._dropped([full])
        return found

    def _incr(self, full: str, delta: int, now: float) -> int | None:
        if type(delta) is int:
            found = self.redis.incr(full, delta)
            if found is None or found != b"no":
                return None if found is None else int(found)
        for _ in range(REPLACE_TRIES):
            held = self.redis.get(full)
            entry = None if held is None else self._good(held, now)
            if held is None or entry is None:
                return None
            entry.payload, entry.form = packed(entry.value() + delta)
            if self.redis.replace(full, held, encode(entry, self._compress_above)):
                return entry.value()  # type: ignore[no-any-return]
        raise SharedAway

    def drop(self, full: str) -> bool:
        """Forget a key; tell whether it had a value."""
        return self.drop_many([full])

    def drop_many(self, fulls: Sequence[str]) -> bool:
        """Forget several keys; tell whether one of them had a value."""
        now, was_good = time.time(), False
        if not fulls:
            return False
        try:
            self.reader.ensure()
            with self.breaker.guarding():
                held = self.redis.drop_many(fulls)
                was_good = any(data is not None and self._good(data, now) is not None for data in held)
        except SharedAway:
            was_good = any(self.engine.is_usable(self.engine.held(full), now) for full in fulls)
            self.pending.note_keys(fulls)
        self._dropped(fulls)
        return was_good

    def clear(self) -> None:
        """Forget everything of this cache."""
        try:
            self.reader.ensure()
            with self.breaker.guarding():
                self.redis.clear()
        except SharedAway:
            self.pending.note_everything()

    # Tags

    def tokens(self, tags: Sequence[str]) -> Tags:
        """Return the tags with their present tokens. While the server is away, those that are unknown are made up."""
        engine, pending = self.engine, self.pending
        try:
            self.reader.ensure()
            known = {} if self._is_out_of_step() else engine.tags.known(tags)
            if wanted := [tag for tag in tags if tag not in known and tag not in pending.tags]:
                with self.breaker.guarding():
                    found = self.redis.tokens(wanted, engine.tags.seq)
                with engine.lock:
                    for tag, token in zip(wanted, found, strict=True):
                        engine.tags.learn(tag, token)
                        known[tag] = token
            if len(known) == len(tags):
                return tuple([(tag, known[tag]) for tag in tags])
        except SharedAway:
            pass
        with engine.lock:
            captured = engine.tags.capture(tags)
        pending.made_up = True  # only now: what is made good before is forgotten once more
        return captured

    def invalidate(self, tags: Sequence[str], remove: bool) -> None:
        """Invalidate tags everywhere; in this process alone while the server is away, and elsewhere when it is back."""
        engine = self.engine
        try:
            self.reader.ensure()
            with self.breaker.guarding():
                self._invalidate(tags, remove)
        except SharedAway:
            self.pending.note_tags(tags, remove)
            with engine.lock:
                for tag in tags:
                    engine.tags.invalidate(tag, remove)
            self.pending.made_up = True

    def _invalidate(self, tags: Sequence[str], remove: bool) -> None:
        engine = self.engine
        made = self.redis.invalidate(tags, remove, engine.tags.seq)
        with engine.lock:
            for tag, token in zip(tags, made, strict=True):
                engine.tags.learn(tag, token)

    # Computing

    def turn(self, full: str, patience_s: float | None = None) -> Turn:
        """Return the turn to compute a key among all processes."""
        return Turn(self, full, self.options.wait if patience_s is None else patience_s)

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

    def make_good(self) -> None:
        """Do there what could not be done, forget what memory made of it, and let calls through again. Raises if it fails."""
        pending, engine = self.pending, self.engine
        while True:
            with pending.lock:
                written = pending.written()
                if not written:
                    if pending.made_up or self.breaker.is_open:
                        pending.made_up = False
                        engine.forget()
                    self.breaker.close()
                    return
            self._make_good(written)
            self._dropped(written.keys)
            pending.done(written)

    def _make_good(self, written: Written) -> None:
        if written.too_much:
            self.redis.begin_anew(self.redis.position(b"")[0], self.engine.tags.seq)
        if written.everything:
            self.redis.clear()
        for keys in slices(written.keys):
            self.redis.forget_many(keys)
        for remove in (False, True):
            for tags in slices([tag for tag, removes in written.tags.items() if removes is remove]):
                self._invalidate(tags, remove)

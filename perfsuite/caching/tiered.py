"""``TieredCache``, the backend: Django's cache API, exactly, over the tiers, with tags and single flight beside it.

What Django's methods promise holds for all of them; what is added is by keyword only. All state is in the process's engine
(engine.py), since Django makes an object of this class for each thread.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterable, Mapping
from math import inf
from time import perf_counter
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from perfsuite.caching import compute
from perfsuite.caching.asynchronous import AsyncMethods
from perfsuite.caching.breaker import SharedAway
from perfsuite.caching.collected import note
from perfsuite.caching.conf import CachingSettings
from perfsuite.caching.entry import IMMUTABLE, PICKLED, PROTOCOL, RAW, Entry, packed
from perfsuite.caching.stats import statistics
from perfsuite.caching.storing import MAX_PLAIN_KEY, renewed
from perfsuite.caching.tags import checked_tags

_now = time.time
_loads = pickle.loads
_dumps = pickle.dumps


class TieredCache(AsyncMethods):
    """A cache in up to three tiers, hot, warm and cold, of which the last may be a Redis or Valkey that others share."""

    # Hot path: benchmarks/caching.py
    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return the value of a key, or ``default``. A value that can be changed is the caller's own copy."""
        prefix = self._prefix
        full = f"{prefix}{key}" if version is None and prefix is not None else self._made(key, version)
        if not full.isprintable() or " " in full or len(full) > MAX_PLAIN_KEY:
            self.validate_key(full)
        engine = self._engine
        if engine.counter[0] != engine.seen:
            engine.catch_up()
        if next(engine.sampling):
            return self._sampled(full, default)
        entry = self._hot.get(full)
        if entry is not None:
            now = _now()
            if (
                now < entry.leaves
                and now < engine.trusted_until
                and (not entry.tags or entry.checked == self._tags.clock or self._tags.is_valid(entry))
            ):
                try:
                    self._hot.move_to_end(full)
                except KeyError:  # it has just gone
                    pass
                next(self._hot_hits)
                form = entry.form
                return (
                    entry.payload
                    if form == RAW
                    else _loads(entry.payload)
                    if form == PICKLED
                    else entry.value()
                )
        elif self._is_local and full not in self._warm and full not in self._cold:
            # What _found_lower does, without its calls: a miss should cost nothing beside what is computed for it.
            next(self._misses)
            if self._tags.in_use:
                engine.leases.leave(full, self._tags.seq)
            else:
                self._early.append(full)
            return default
        entry = self._found_lower(full)
        return default if entry is None else entry.value()

    def _sampled(self, full: str, default: Any) -> Any:
        started = perf_counter()
        entry = self._found_lower(full)
        value = default if entry is None else entry.value()
        self._engine.samples.append((full, entry is not None, perf_counter() - started))
        return value

    # Hot path: benchmarks/caching.py
    def set(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
        tier: str | None = None,
        stale_for: float | None = None,
    ) -> None:
        """Store a value for ``timeout`` seconds (None: for good, 0: not at all).

        ``tags`` name what it depends on; it is not stored when one of them was invalidated since this context missed the key.
        ``tier`` puts it into that one, ``stale_for`` keeps it so many seconds longer for ``get_or_set`` to fall back on.
        """
        prefix = self._prefix
        full = f"{prefix}{key}" if version is None and prefix is not None else self._made(key, version)
        if not full.isprintable() or " " in full or len(full) > MAX_PLAIN_KEY:
            self.validate_key(full)
        payload, form = (value, RAW) if type(value) in IMMUTABLE else (_dumps(value, PROTOCOL), PICKLED)
        now = _now()
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        expires = inf if timeout is None else now + timeout if timeout > 0 else now - 1.0
        entry = Entry(payload, form, now, expires)
        if tags:
            captured = self._captured(full, checked_tags(tags))
            if captured is None:
                next(self._engine.counts.refused)
                self._drop(full)
                return
            entry.tags = captured
        if stale_for or self._stale_for:
            self._keep_stale(entry, stale_for)
        next(self._sets)
        engine, place = self._engine, None if tier is None else self._place(tier)
        if engine.shared is not None:
            engine.shared.store(full, entry, now, place)
            return
        with engine.lock:
            if engine.counter[0] != engine.seen:
                engine.catch_up()
            self._store_here(full, entry, now, place)

    def add(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
    ) -> bool:
        """Store a value unless the key has one; tell whether it was stored. With a shared tier, for all processes at once."""
        full = self._full(key, version)
        payload, form = packed(value)
        engine, now = self._engine, _now()
        entry = Entry(payload, form, now, self._expiry(timeout, now))
        if tags:
            entry.tags = self.tokens(checked_tags(tags))
        if engine.shared is not None:
            try:
                return self._counted(bool(engine.shared.add(full, entry, now)))
            except SharedAway:
                engine.shared.pending.note_keys([full])
        with engine.lock:
            engine.catch_up()
            if engine.is_usable(engine.held(full), now):
                return False
            self._store_here(full, entry, now, None)
            return self._counted(True)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Give a key a new time from now; tell whether there was one."""
        full = self._full(key, version)
        engine, now = self._engine, _now()
        expires = self._expiry(timeout, now)
        if engine.shared is not None:
            try:
                return bool(engine.shared.touch(full, expires, now))
            except SharedAway:
                engine.shared.pending.note_keys([full])
        with engine.lock:
            entry = self._live(full, now)
            if entry is None:
                return False
            self._store_here(full, renewed(entry, expires), now, None)
            return True

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Forget a key; tell whether it had a value."""
        return self._drop(self._full(key, version))

    def has_key(self, key: Any, version: int | None = None) -> bool:
        """Tell whether a key has a value."""
        full = self._full(key, version)
        engine, now = self._engine, _now()
        with engine.lock:
            if self._live(full, now) is not None:
                return True
        return engine.shared is not None and engine.shared.fetch(full, now) is not None

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add to a number and return the sum; ValueError for a key without one. Its time stays. In a shared tier, in one step."""
        full = self._full(key, version)
        engine, now = self._engine, _now()
        if engine.shared is not None:
            try:
                found = engine.shared.incr(full, delta, now)
            except SharedAway:
                engine.shared.pending.note_keys([full])
            else:
                if found is None:
                    raise ValueError(f"Key '{key}' not found")
                return found  # type: ignore[no-any-return]
        with engine.lock:
            entry = self._live(full, now)
            if entry is None:
                raise ValueError(f"Key '{key}' not found")
            value = entry.value() + delta
            made = renewed(entry, entry.expires)
            made.payload, made.form = packed(value)
            self._store_here(full, made, now, None)
            return value  # type: ignore[no-any-return]

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """Return the values of those keys that have one; one round trip to a shared tier for all that are not in memory."""
        engine = self._engine
        if engine.shared is None:  # as Django does it since 3.2; before, a stored None was left out
            values = ((key, self.get(key, self, version)) for key in keys)
            return {key: value for key, value in values if value is not self}
        if engine.counter[0] != engine.seen:
            engine.catch_up()
        now, found, missing, sampled = _now(), {}, {}, {}
        for key in keys:
            full = self._full(key, version)
            if next(engine.sampling):
                sampled[full] = key
            entry = engine.find(full, now)
            if entry is None:
                missing[full] = key
            else:
                found[key] = entry.value()
        for full, entry in engine.shared.fetch_many(list(missing), now).items():
            next(engine.shared.hits)
            found[missing.pop(full)] = entry.value()
        for full in missing:
            next(engine.counts.misses)
            engine.leases.leave(full, engine.tags.seq)
        for full, key in sampled.items():
            engine.samples.append((full, key in found, None))
        return found

    def set_many(
        self,
        data: Mapping[Any, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
    ) -> list[Any]:
        """Store several values; return the keys that could not be stored, which is none."""
        engine = self._engine
        if engine.shared is None or tags:
            for key, value in data.items():
                self.set(key, value, timeout, version, tags=tags)
            return []
        now = _now()
        expires = self._expiry(timeout, now)
        entries = {
            self._full(key, version): Entry(*packed(value), now, expires) for key, value in data.items()
        }
        for entry in entries.values():
            next(self._sets)
            self._keep_stale(entry, None)
        engine.shared.store_many(entries, now)
        return []

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        """Forget several keys."""
        fulls = [self._full(key, version) for key in keys]
        if self._engine.shared is not None:
            self._engine.shared.drop_many(fulls)
            return
        for full in fulls:
            self._drop(full)

    def clear(self) -> None:
        """Forget everything that this cache holds, and nothing that is another's. Other processes do it at their next read."""
        engine = self._engine
        if engine.shared is not None:
            engine.shared.clear()
        with engine.lock:
            engine.clear()
            engine.tell("C")

    def get_or_set(
        self,
        key: Any,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
        tier: str | None = None,
        stale_for: float | None = None,
    ) -> Any:
        """Return the value of a key; where there is none, store ``default``, or what it returns, called once for all who wait.

        With ``stale_for``, what has expired is served for so long while one refresh runs, and when the refresh fails.
        """
        full = self._full(key, version)
        if not CachingSettings.get().enabled:
            return default() if callable(default) else default
        names = checked_tags(tags) if tags else ()
        if names:
            note(names)
        wanted = compute.Wanted(full, timeout, names, self._place(tier), stale_for)
        return compute.get_or_compute(self, wanted, default if callable(default) else lambda: default)

    def invalidate_tags(self, *tags: str, mode: str = "expire") -> None:
        """Make everything that carries one of the tags a miss, everywhere and at once, however much it is.

        ``expire`` leaves what is stored to be served as stale where that was asked for; ``remove`` does not.
        """
        if mode not in ("expire", "remove"):
            raise ValueError(f"mode is {mode!r}; write 'expire' or 'remove'.")
        engine, names, remove = self._engine, checked_tags(tags), mode == "remove"
        if engine.shared is not None:
            engine.shared.invalidate(names, remove)
            return
        with engine.lock:
            engine.catch_up()
            for tag in names:
                engine.tags.invalidate(tag, remove)
                engine.tell("R" if remove else "T", tag)

    def statistics(self) -> dict[str, Any]:
        """Return what this cache has done in this process since it began, and how it stands: counters, bytes, the breaker.

        ``hit_rate`` and ``distribution`` are percent of all reads, None and empty before the first; a stale answer is a hit.
        ``tiers`` has a dict for each, in their order. Takes no lock and asks no server.
        """
        return statistics(self._engine)

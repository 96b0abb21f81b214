"""The steps that the backend's methods are made of: the key, looking a key up, storing in memory, and telling the others."""

from __future__ import annotations

import time
from collections import OrderedDict
from math import inf
from time import perf_counter
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache, default_key_func

from perfsuite.caching.compute import Wanted
from perfsuite.caching.engine import Engine, engine_of
from perfsuite.caching.entry import Entry, Tags, packed
from perfsuite.caching.options import HOT, NAMES, read

_now = time.time
MAX_PLAIN_KEY = 250  # memcached's, which Django warns of


class Storing(BaseCache):
    """The key, the engine, and the steps of reading and storing, for ``TieredCache``."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        given = params.get("OPTIONS", {})
        options = read(given)
        super().__init__(params)
        engine = self._engine = engine_of(
            f"{location or 'default'}|{self.key_prefix}" if self.key_prefix else location or "default",
            options,
        )
        has_limit = any(name in given or name.lower() in params for name in ("MAX_ENTRIES", "max_entries"))
        self._max_entries_given = self._max_entries if has_limit else None
        maps = [tier.entries for tier in engine.tiers]
        self._hot, self._warm, self._cold = (*maps, OrderedDict(), OrderedDict(), OrderedDict())[:3]
        self._hot_hits = engine.tiers[0].hits if engine.tiers else engine.counts.misses
        self._misses, self._sets = engine.counts.misses, engine.counts.sets
        self._tags, self._early = engine.tags, engine.tags.early
        self._is_local = engine.shared is None
        self._stale_for = engine.options.stale_for
        self._prefix: str | None = None
        self._follow_key_settings()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in ("version", "key_prefix", "key_func") and "_prefix" in self.__dict__:
            self._follow_key_settings()

    def _follow_key_settings(self) -> None:
        """Have what the key function puts before a key, None where it is not Django's own and does what it likes."""
        is_djangos = self.key_func is default_key_func
        self._prefix = f"{self.key_prefix}:{self.version}:" if is_djangos else None

    # Hot path: benchmarks/caching.py
    def _full(self, key: Any, version: int | None) -> str:
        """Return the key in the store, with Django's warnings for one that memcached would refuse."""
        prefix = self._prefix
        full = f"{prefix}{key}" if version is None and prefix is not None else self._made(key, version)
        if not full.isprintable() or " " in full or len(full) > MAX_PLAIN_KEY:
            self.validate_key(full)
        return full

    def _made(self, key: Any, version: int | None) -> str:
        return str(self.make_key(key, version))

    @property
    def engine(self) -> Engine:
        """What this cache is in this process."""
        return self._engine

    def lookup(self, full: str) -> Entry | None:
        """Return the fresh entry of a full key from any tier; a miss is counted and leaves a lease."""
        engine = self._engine
        if engine.counter[0] != engine.seen:
            engine.catch_up()
        if not next(engine.sampling):
            return self._found_lower(full)
        started = perf_counter()
        entry = self._found_lower(full)
        engine.samples.append((full, entry is not None, perf_counter() - started))
        return entry

    # Hot path: benchmarks/caching.py
    def _found_lower(self, full: str) -> Entry | None:
        engine = self._engine
        entry = None
        if full in self._warm or full in self._cold or full in self._hot:
            entry = engine.find(full, _now())
        if entry is None and engine.shared is not None:
            entry = engine.shared.fetch(full, _now())
            if entry is not None:
                next(engine.shared.hits)
        if entry is None:
            next(self._misses)
            if self._tags.in_use:
                self._engine.leases.leave(full, self._tags.seq)
            else:
                self._early.append(full)
        return entry

    def _expiry(self, timeout: Any, now: float) -> float:
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return inf if timeout is None else now + timeout if timeout > 0 else now - 1.0

    def _place(self, tier: str | None) -> int | None:
        if tier is None:
            return None
        if tier not in NAMES:
            raise ValueError(f"tier is {tier!r}; write one of {', '.join(NAMES)}.")
        places = {each.name: place for place, each in enumerate(self._engine.tiers)}
        return places.get(tier, 0 if tier == HOT else len(self._engine.tiers) - 1)

    def _keep_stale(self, entry: Entry, stale_for: float | None) -> None:
        extra = self._engine.options.stale_for if stale_for is None else stale_for
        if extra and entry.expires > entry.created:
            entry.stale_for = extra

    def _captured(self, full: str, tags: tuple[str, ...]) -> Tags | None:
        """Return the tags' tokens, or None if one of them was invalidated since this context missed the key."""
        captured = self.tokens(tags)
        lease = self._engine.leases.take(full)
        if lease is None and self._tags.early and self._tags.was_missed_early(full):
            lease = 0
        if lease is not None and any(token[0] > lease for _, token in captured):
            return None
        return captured

    def tokens(self, tags: tuple[str, ...]) -> Tags:
        """Return the tags with their present tokens; a computation takes them before it begins."""
        engine = self._engine
        if engine.shared is not None:
            return engine.shared.tokens(tags)  # type: ignore[no-any-return]
        with engine.lock:
            engine.catch_up()
            return engine.tags.capture(tags)

    def store_computed(
        self, wanted: Wanted, value: Any, tags: Tags, cost_s: float, replace: bool = False
    ) -> Entry:
        """Store what was computed, unless a tag was invalidated meanwhile; what somebody set meanwhile stands and is returned."""
        engine, now = self._engine, _now()
        payload, form = packed(value)
        entry = Entry(payload, form, now, self._expiry(wanted.timeout, now), tags)
        entry.cost_s = cost_s
        self._keep_stale(entry, wanted.stale_for)
        if engine.shared is not None:
            return engine.shared.store_computed(wanted.full, entry, now, wanted.place, replace)  # type: ignore[no-any-return]
        with engine.lock:
            there = self._live(wanted.full, now)
            if there is not None and not replace:
                return there
            if self._tags.is_valid(entry):
                next(engine.counts.sets)
                self._keep_here(wanted.full, entry, now, wanted.place)
            else:
                next(engine.counts.refused)
        return entry

    def _live(self, full: str, now: float) -> Entry | None:
        """Return a key's fresh entry in memory, uncounted; called with the lock held."""
        self._engine.catch_up()
        return self._engine.fresh(full, now)

    def _keep_here(self, full: str, entry: Entry, now: float, place: int | None) -> None:
        """Store in memory what is nobody else's business: a computed value says nothing of what others hold."""
        if now < entry.keep_until:
            if self._max_entries_given is not None:
                self._cull(full)
            self._engine.put(full, entry, now, place)

    def _store_here(self, full: str, entry: Entry, now: float, place: int | None) -> None:
        """Store in memory and tell the other processes; called with the lock held."""
        engine = self._engine
        if now >= entry.expires + entry.stale_for:
            engine.drop(full)
            engine.tell("D", full)
            return
        if self._max_entries_given is not None:
            self._cull(full)
        if engine.put(full, entry, now, place):
            engine.tell("S", full, entry)
        else:
            engine.tell("D", full)

    def _counted(self, is_stored: bool) -> bool:
        """Count a set that came about; tell whether it did."""
        if is_stored:
            next(self._sets)
        return is_stored

    def _drop(self, full: str) -> bool:
        engine = self._engine
        if engine.shared is not None:
            return bool(engine.shared.drop_many([full]))
        now = _now()
        with engine.lock:
            was_live = self._live(full, now) is not None
            engine.drop(full)
            engine.tell("D", full)
        return was_live

    def _cull(self, full: str) -> None:
        """Make room as Django's other backends do for ``MAX_ENTRIES``, the least recently used going first."""
        engine = self._engine
        total = sum(len(tier.entries) for tier in engine.tiers)
        if total < (self._max_entries_given or 0) or engine.held(full) is not None:
            return
        if self._cull_frequency == 0:
            engine.clear()
            return
        to_go = total // self._cull_frequency
        for tier in reversed(engine.tiers):
            for key in list(tier.entries)[:to_go]:
                tier.pop(key)
                tier.by_bytes += 1
                to_go -= 1


def renewed(entry: Entry, expires: float) -> Entry:
    """Return a copy of an entry with another end."""
    made = Entry(entry.payload, entry.form, entry.created, expires, entry.tags)
    made.cost_s = entry.cost_s
    made.stale_for = entry.stale_for
    return made

"""A tier in the memory of this process: the least recently used go when its bytes are used up.

Looking up takes no lock: the methods of ``OrderedDict`` are single steps. Whoever changes a tier holds the lock of its cache. A
library's LRU would look up as quickly, but tells nobody what it evicts, and that moves down a tier and is counted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from math import inf
from sys import getsizeof

from perfsuite.caching.entry import OVERHEAD_BYTES, TAG_BYTES, Entry, compressed, expanded

# Expired entries are looked for by those who store something: so many are looked at in one sweep.
SWEPT = 32
SWEEP_PARTS = 16


@dataclass(frozen=True)
class TierOptions:
    """What a tier may hold, and for how long: ``ttl_s`` None is without end. ``alias`` makes it a shared tier."""

    name: str
    max_bytes: int = 0
    ttl_s: float | None = None
    compress_above: int | None = None
    alias: str = ""


Victims = list[tuple[str, Entry]]
NOBODY: Victims = []


class MemoryTier:
    """Entries by key, the least recently used first. ``hits`` and the others count since the process began."""

    __slots__ = (
        "_compress_above",
        "_sweep_until",
        "_swept",
        "_to_sweep",
        "_ttl_s",
        "by_bytes",
        "by_expiry",
        "bytes",
        "entries",
        "hits",
        "max_bytes",
        "name",
        "options",
        "promotions",
        "rejected",
    )  # fmt: skip

    def __init__(self, options: TierOptions) -> None:
        self.options = options
        self.name = options.name
        self.max_bytes = options.max_bytes
        self._compress_above = options.compress_above
        self._ttl_s = inf if options.ttl_s is None else options.ttl_s
        self.entries: OrderedDict[str, Entry] = OrderedDict()
        self.bytes = 0
        self.hits = count()  # counted by next(), which is one step for all threads
        self.promotions = 0
        self.by_bytes = 0
        self.by_expiry = 0
        self.rejected = 0
        self._to_sweep: Iterator[str] = iter(())
        self._swept = self._sweep_until = 0

    # Hot path: benchmarks/caching.py
    def put(self, key: str, entry: Entry, now: float) -> Victims | None:
        """Store an entry as the most recently used; return those that had to go for it, or None if it does not fit at all.

        The key is in no tier: whoever stores takes it out of all of them first.
        """
        if self._compress_above is not None:
            entry = compressed(entry, self._compress_above)
        payload = entry.payload
        size = len(payload) if type(payload) is bytes else getsizeof(payload)
        size += OVERHEAD_BYTES + (len(key) if key.isascii() else getsizeof(key))
        if entry.tags:
            size += TAG_BYTES * len(entry.tags)
        if size > self.max_bytes:
            self.rejected += 1
            return None
        entry.size = size
        leaves, expires = now + self._ttl_s, entry.expires
        entry.leaves = leaves if leaves < expires else expires
        entry.hits = 0
        self.entries[key] = entry
        self.bytes += size
        return self._make_room() if self.bytes > self.max_bytes else NOBODY

    def pop(self, key: str) -> Entry | None:
        """Take an entry out."""
        entry = self.entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size
        return entry

    def take_up(self, key: str) -> Entry | None:
        """Take an entry out for the tier above."""
        entry = self.pop(key)
        if entry is None:
            return None
        self.promotions += 1
        return expanded(entry)

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self.bytes = 0

    def sweep(self, now: float) -> Victims:
        """Look at a few entries; drop those of no more use and return those that have stayed their time in this tier."""
        moved: Victims = []
        entries = self.entries
        keys = list(islice(self._to_sweep, SWEPT))
        if not keys:
            # A part of the keys at a time: a list of all would keep those of entries that are long gone.
            if (
                self._swept >= self._sweep_until
            ):  # of those that were there when the round began: more may come all the time
                self._swept, self._sweep_until = 0, len(entries)
            at, self._swept = self._swept, self._swept + max(SWEPT, self._sweep_until // SWEEP_PARTS)
            self._to_sweep = iter(list(islice(entries, at, self._swept)))
            keys = list(islice(self._to_sweep, SWEPT))
        for key in keys:
            entry = entries.get(key)
            if entry is None or now < entry.leaves:
                continue
            if now >= entry.keep_until:
                self.by_expiry += 1
            elif now < entry.expires:
                moved.append((key, entry))
            else:
                continue
            self.pop(key)
            self._swept -= 1  # those behind it have moved up
            self._sweep_until -= 1
        return moved

    def _make_room(self) -> Victims:
        gone = []
        while self.bytes > self.max_bytes:
            victim = self.entries.popitem(last=False)
            self.bytes -= victim[1].size
            self.by_bytes += 1
            gone.append(victim)
        return gone

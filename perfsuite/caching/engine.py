"""What one cache is in this process: its tiers, its tags, its end of the channel. Django makes a cache object for each thread;
all those of one cache share this.

Reading takes no lock. Whoever changes something holds ``lock``, tells the channel and changes the tiers within it, so that what
the other processes did is dropped either before or after, never in between.
"""

from __future__ import annotations

import logging
import os
import threading
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count, cycle, repeat
from math import inf
from typing import Any

from django.core.signals import setting_changed
from django.dispatch import receiver

from perfsuite.caching.coherence import Message
from perfsuite.caching.coherence.host import ARRIVALS, ChannelUnusable, HostChannel, channel_name
from perfsuite.caching.entry import Entry, expanded
from perfsuite.caching.flight import Flights
from perfsuite.caching.options import CacheOptions
from perfsuite.caching.tags import Leases, TagClock
from perfsuite.caching.tiers.memory import NOBODY, MemoryTier, Victims

logger = logging.getLogger("perfsuite.caching")

# Each so manieth time that something is stored, expired entries are looked for.
SWEEP_EVERY = 32
# The hit in a tier that takes an entry one tier up.
PROMOTING_HIT = 2
# Where reads are sampled, one in so many: a prime, so that a page which reads its keys in turn shows all of them.
SAMPLE_EVERY = 61
MAX_SAMPLES = 2_000

# A read that was looked at: the key in the store, whether it had a value, and the seconds, where they were measured.
Sample = tuple[str, bool, "float | None"]


class Counts:
    """What happened in a cache since the process began, beside what its tiers count. Counted by ``next``."""

    def __init__(self) -> None:
        self.misses = count()
        self.sets = count()
        self.stale = count()
        self.refused = count()
        self.coalesced = count()
        self.damaged = count()


def reading(counter: count[int]) -> int:
    """Return how often a counter was advanced."""
    return int(repr(counter)[6:-1])


class Engine:
    """The process's one cache called ``name``. ``counter[0] != seen`` says that other processes did something."""

    def __init__(self, name: str, options: CacheOptions) -> None:
        self.name = name
        self.options = options
        self.lock = threading.RLock()
        self.tags = TagClock()
        self.leases = Leases()
        self.counts = Counts()
        self.sampling: Iterator[bool] = _sampling()
        self.samples: deque[Sample] = deque(maxlen=MAX_SAMPLES)
        self.flights = Flights()
        self.applied = (
            0  # changes of what is shared, so that a value read before one of them is not kept after it
        )
        self.tiers = [MemoryTier(tier) for tier in options.memory]
        self._puts = 0
        self.enters = min(1, len(self.tiers) - 1)  # the tier of new entries: warm
        self.throttled: dict[str, float] = {}  # keys whose refresh failed, and until when none is tried
        self.trusted_until = inf
        self.shared: Any = None
        self.channel: HostChannel | None = None
        self.counter: Any = array("Q", [0])
        self.seen = 0
        if options.shared is not None:
            from perfsuite.caching.tiers.shared import SharedTier

            self.shared = SharedTier(self, options)
        elif options.channel_in_use == "host":
            self._open_channel()

    def _open_channel(self) -> None:
        try:
            self.channel = HostChannel(channel_name(self.name), self.options.run_dir)
        except ChannelUnusable as exc:
            # One process alone is right without it; several are told by a check.
            logger.warning("The cache %r runs without its channel: %s.", self.name, exc)
            return
        self._follow_channel()

    def _follow_channel(self) -> None:
        if self.channel is not None:
            self.counter = self.channel.counter
            self.seen = self.counter[0]

    # Reading

    # Hot path: benchmarks/caching.py
    def find(self, key: str, now: float) -> Entry | None:
        """Return the fresh entry of a key in the memory of this process, counted as a hit of its tier, or None."""
        for place, tier in enumerate(self.tiers):
            entry = tier.entries.get(key)
            if entry is None:
                continue
            if now >= entry.leaves and not self._may_stay(key, place, entry, now):
                return self.find(key, now) if now < entry.expires and place + 1 < len(self.tiers) else None
            if entry.tags and entry.checked != self.tags.clock and not self.tags.is_valid(entry):
                return None
            if not self.is_trusted(entry, now):
                return None
            next(tier.hits)
            entry.hits += 1
            if place and entry.hits >= PROMOTING_HIT:
                self._promote(key, place, now)
            else:
                try:
                    tier.entries.move_to_end(key)
                except KeyError:  # it has just gone
                    pass
            return entry
        return None

    def held(self, key: str) -> Entry | None:
        """Return the entry of a key, whatever its state, without counting."""
        for tier in self.tiers:
            entry = tier.entries.get(key)
            if entry is not None:
                return entry
        return None

    def fresh(self, key: str, now: float) -> Entry | None:
        """Return the fresh entry of a key in memory without counting: for a read that was counted already."""
        entry = self.held(key)
        return entry if self.is_usable(entry, now) else None

    def stale(self, key: str, now: float) -> Entry | None:
        """Return an entry that is not fresh any more and may still be served as stale."""
        entry = self.held(key)
        if entry is None or not self._may_be_shown(entry, now):
            return None
        return entry if self.is_trusted(entry, now - entry.stale_for) else None

    def is_usable(self, entry: Entry | None, now: float) -> bool:
        """Tell whether an entry is there and fresh; with the lock held."""
        return (
            entry is not None
            and now < entry.expires
            and self.tags.is_valid(entry)
            and self.is_trusted(entry, now)
        )

    def is_trusted(self, entry: Entry, now: float) -> bool:
        """Tell whether an entry may be gone by: one that is too old may not, while this process hears nothing of the others."""
        return now < self.trusted_until or now - entry.created <= self.options.max_staleness

    def _may_be_shown(self, entry: Entry, now: float) -> bool:
        return entry.stale_for > 0 and now < entry.keep_until and self.tags.may_be_shown(entry)

    def _may_stay(self, key: str, place: int, entry: Entry, now: float) -> bool:
        """Deal with an entry that has stayed its time: move it down if it is fresh, forget it if it is of no use."""
        self.look_after_channel(now)
        with self.lock:
            tier = self.tiers[place]
            if tier.entries.get(key) is not entry or now < entry.leaves:
                return tier.entries.get(key) is entry
            if now < entry.expires:
                tier.pop(key)
                self._move_down([(key, entry)], place, now)
            elif now >= entry.keep_until:
                tier.pop(key)
                tier.by_expiry += 1
            return False

    def _promote(self, key: str, place: int, now: float) -> None:
        with self.lock:
            entry = self.tiers[place].take_up(key)
            if entry is not None:
                self._put_at(key, entry, place - 1, now)

    # Changing; called with the lock held

    def put(self, key: str, entry: Entry, now: float, place: int | None = None) -> bool:
        """Store an entry, in the tier of new ones unless told; what does not fit there goes to the next. Tell if it is stored."""
        self._puts += 1
        if not self._puts % SWEEP_EVERY:
            self._sweep(now)
        tiers = self.tiers
        if not tiers:
            return False
        for tier in tiers:
            if key in tier.entries:
                tier.bytes -= tier.entries.pop(key).size
                break  # it is in one tier at most
        if place is None:
            place = self.enters
        victims = tiers[place].put(key, entry, now)
        return True if victims is NOBODY else self._go_on(victims, key, entry, place, now)

    def _sweep(self, now: float) -> None:
        self.look_after_channel(now)
        for index, tier in enumerate(self.tiers):
            if moved := tier.sweep(now):
                self._move_down(moved, index, now)

    def drop(self, key: str) -> Entry | None:
        """Forget a key; return what it held."""
        found = None
        for tier in self.tiers:
            found = tier.pop(key) or found
        return found

    def clear(self) -> None:
        """Forget everything but the tags."""
        self.applied += 1
        for tier in self.tiers:
            tier.clear()

    def _put_at(self, key: str, entry: Entry, place: int, now: float) -> bool:
        return self._go_on(self.tiers[place].put(key, entry, now), key, entry, place, now)

    def _go_on(self, victims: Victims | None, key: str, entry: Entry, place: int, now: float) -> bool:
        """Take what does not fit into a tier to the next, and move down what had to go for it. Tell if it is stored."""
        while victims is None:
            place += 1
            if place == len(self.tiers):
                return False
            victims = self.tiers[place].put(key, entry, now)
        if victims:
            self._move_down(victims, place, now)
        return True

    def _move_down(self, moved: Sequence[tuple[str, Entry]], place: int, now: float) -> None:
        """Store in the next tier what had to leave one, as long as it is of use. What leaves the last is gone."""
        below = place + 1
        if below < len(self.tiers):
            for key, entry in moved:
                if (now < entry.expires and self.tags.is_valid(entry)) or self._may_be_shown(entry, now):
                    self._put_at(key, entry, below, now)

    # What other processes did

    def catch_up(self) -> None:
        """Apply what other processes have done since the last time."""
        with self.lock:
            if self.channel is None or self.counter[0] == self.seen:
                return
            self.seen = self.counter[
                0
            ]  # before reading, so that whatever comes meanwhile is seen the next time
            messages = self.channel.read()
            if messages is None:
                self.forget()
            else:
                self.apply(messages)

    def apply(self, messages: Sequence[Message]) -> None:
        """Drop what other processes have changed. What this process set after them, it keeps. Called with the lock held."""
        last = {message.key: message for message in messages if message.op in "SD"}
        for message in messages:
            if message.mine or message.op == "N":
                continue
            self.applied += 1
            if message.op == "F":
                self.forget()
            elif message.op in "TR":
                if message.token is None:
                    self.tags.invalidate(message.key, message.op == "R")
                else:
                    self.tags.learn(message.key, message.token)
            elif message.op == "C":
                self.clear()
            elif not last[message.key].mine:
                self._changed_elsewhere(message.key, message.op == "S", message.digest, message.expires)

    def apply_locked(self, messages: Sequence[Message]) -> None:
        """Do the same from a thread that does not hold the lock."""
        with self.lock:
            self.apply(messages)

    def forget(self) -> None:
        """Forget everything, the tags too: something was missed."""
        with self.lock:
            self.applied += 1
            self.clear()
            self.tags.forget()

    def _changed_elsewhere(self, key: str, is_set: bool, digest: int, expires: float) -> None:
        """Drop a key's copy, unless it is the very value that was set; then that one's time is its time."""
        entry = self.held(key)
        if entry is None:
            return
        if is_set and expanded(entry).digest() == digest:
            entry.leaves = min(entry.leaves, expires)
            entry.expires = expires
            return
        self.drop(key)

    # Hot path: benchmarks/caching.py
    def tell(self, op: str, key: str = "", entry: Entry | None = None) -> None:
        """Tell the other processes of this host, where there are any."""
        channel = self.channel
        if channel is None or channel.alone_since == channel.counter[ARRIVALS]:
            return
        if entry is None:
            seen = channel.publish(op, key)
        else:
            seen = channel.publish(op, key, entry.digest(), entry.expires)
        if seen is not None:
            self.seen = seen

    def look_after_channel(self, now: float) -> None:
        """See that the channel's files are still there; whoever removed them has made this process miss things."""
        if self.channel is not None and not self.channel.is_current(now):
            with self.lock:
                self._follow_channel()
                self.forget()

    def after_fork(self) -> None:
        """Be this process's own: a lock that nobody holds, and nothing that another thread was just changing."""
        if not self.lock.acquire(blocking=False):
            self.clear()
        self.lock = threading.RLock()
        self.flights = Flights()
        if self.channel is not None:
            self.channel.after_fork()
        if self.shared is not None:
            self.shared.after_fork()


_samples = False


def _sampling() -> Iterator[bool]:
    """Return what says of each read whether it is a sample; ``next`` of it is one step for all threads."""
    return cycle([False] * (SAMPLE_EVERY - 1) + [True]) if _samples else repeat(False)


def sample_reads(on: bool) -> None:
    """Have one read in ``SAMPLE_EVERY`` put aside in each cache's ``samples``, or none."""
    global _samples
    if on != _samples:
        _samples = on
        for engine in engines():
            engine.sampling = _sampling()


_engines: dict[tuple[str, CacheOptions], Engine] = {}
_making = threading.Lock()


def engine_of(name: str, options: CacheOptions) -> Engine:
    """Return the process's engine of a cache; caches of one name and the same options share it."""
    found = _engines.get((name, options))
    if found is None:
        with _making:
            found = _engines.get((name, options))
            if found is None:
                found = _engines[name, options] = Engine(name, options)
    return found


def engines() -> list[Engine]:
    """Return the engines that this process has made."""
    return list(_engines.values())


@receiver(setting_changed, dispatch_uid="perfsuite.caching.engine")
def _follow_settings(setting: str, **kwargs: object) -> None:
    """In tests an alias may come to mean another server."""
    for engine in engines() if setting == "CACHES" else ():
        if engine.shared is not None:
            engine.shared.follow_settings()


def _after_fork() -> None:
    global _making
    _making = threading.Lock()
    for engine in engines():
        engine.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

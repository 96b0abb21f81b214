"""Computations, changes and reads of one key, interleaved at random by a scheduler that lets one thread go at a time.

Each interleaving has two or three threads with a script of a few steps. A change bumps the source and then, in another step,
invalidates the tag; from then on nobody who begins may get what was before. A thread that waits for another's computation cannot
be stepped; it is left out until that has ended. That it finds something: with leases that are never taken it counts 99, and with
waiters who take whatever the one they wait for has computed, 7.
"""

from __future__ import annotations

import contextvars
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from cache_common import Effort, Row
from django.core.cache import caches

from perfsuite.caching.engine import reading

KEYS = 50
PATIENCE_S = 0.2


class World:
    """A cache, its source, and for each key the least that a reader who begins now may see."""

    def __init__(self, cache: Any) -> None:
        self.cache = cache
        self.source = dict.fromkeys(range(KEYS), 1)
        self.least = dict.fromkeys(range(KEYS), 1)
        self.stale = 0

    def check(self, value: int | None, least: int) -> None:
        self.stale += value is not None and value < least


class Actor:
    """A thread that does a step of its script when told, and waits."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.is_done = True
        self.is_computing = False
        self.is_waiting = False
        self._go, self.back = threading.Semaphore(0), threading.Semaphore(0)
        self._script: Callable[[Actor, int], None] | None = None
        self._key = 0
        threading.Thread(target=self._run, daemon=True).start()

    def begin(self, script: Callable[[Actor, int], None], key: int) -> None:
        self._script, self._key, self.is_done = script, key, False

    def step(self) -> None:
        self._go.release()

    def end(self) -> None:
        self._script = None
        self._go.release()

    def pause(self) -> None:
        """Let the scheduler choose who goes on."""
        self.back.release()
        self._go.acquire()

    def _run(self) -> None:
        self._go.acquire()
        while self._script is not None:
            # A context of its own, as a request has one: what was missed in another is of no interest in this one.
            contextvars.Context().run(self._script, self, self._key)
            self.is_done = True
            self.pause()


# The scripts


def compute(actor: Actor, key: int) -> None:
    """Get, and where there is nothing read the source and set what was read."""
    world, least = actor.world, actor.world.least[key]
    value = world.cache.get(f"race{key}")
    world.check(value, least)
    if value is None:
        actor.pause()
        value = world.source[key]
        actor.pause()
        world.cache.set(f"race{key}", value, tags=[f"race{key}", "all races"])


def get_or_set(actor: Actor, key: int) -> None:
    world, least = actor.world, actor.world.least[key]

    def read() -> int:
        actor.is_computing = True
        value = world.source[key]
        actor.pause()
        actor.is_computing = False
        return value

    world.check(world.cache.get_or_set(f"race{key}", read, tags=[f"race{key}", "all races"]), least)


def change(actor: Actor, key: int) -> None:
    """Change the source and invalidate, in two steps."""
    world = actor.world
    world.source[key] = value = world.source[key] + 1
    actor.pause()
    world.cache.invalidate_tags(f"race{key}")
    world.least[key] = max(world.least[key], value)


def change_and_set(actor: Actor, key: int) -> None:
    """Do the same, and then set what the source has by then."""
    change(actor, key)
    actor.pause()
    actor.world.cache.set(f"race{key}", actor.world.source[key], tags=[f"race{key}", "all races"])


SCRIPTS = (compute, get_or_set, compute, get_or_set, change, change_and_set)


# The scheduler


def interleave(actors: list[Actor], chance: random.Random, key: int) -> None:
    chosen = actors[: chance.choice((2, 3))]
    for actor in chosen:
        actor.begin(chance.choice(SCRIPTS), key)
    chosen[0].begin(chance.choice((change, change_and_set)), key)  # without a change nothing can be stale
    while not all(actor.is_done for actor in chosen):
        free = [actor for actor in chosen if not actor.is_done and not actor.is_waiting]
        if free:
            actor = chance.choice(free)
            had_computed = actor.is_computing
            wait_for(actor, stepped=True)
            if not had_computed:
                continue
        for actor in chosen:  # a computation has ended; those who waited for it go on
            if actor.is_waiting:
                wait_for(actor, stepped=False)


def wait_for(actor: Actor, stepped: bool) -> None:
    """Return when the actor has done its step, or waits for another's computation."""
    coalesced = actor.world.cache.engine.counts.coalesced
    before, until = reading(coalesced), time.monotonic() + PATIENCE_S
    if stepped:
        actor.step()
    while not actor.back.acquire(blocking=False):
        if reading(coalesced) > before or (not stepped and time.monotonic() > until):
            actor.is_waiting = True
            return
        time.sleep(0)
    actor.is_waiting = False


def races(effort: Effort) -> Iterator[Row]:
    for alias, where, count in (
        ("unchanneled", "memory", effort.of(10_000, 300)),
        ("behind", "Redis", effort.of(1_000, 50)),
    ):
        world, chance = World(caches[alias]), random.Random(1)
        counts = world.cache.engine.counts
        refused, coalesced = reading(counts.refused), reading(counts.coalesced)
        actors = [Actor(world) for _ in range(3)]
        for number in range(count):
            key = number % KEYS
            interleave(actors, chance, key)
            world.check(world.cache.get(f"race{key}"), world.least[key])
        for actor in actors:
            actor.end()
        refused, coalesced = reading(counts.refused) - refused, reading(counts.coalesced) - coalesced
        words = f"{world.stale} ({refused:,} values refused, {coalesced:,} waits)"
        yield Row(f"stale results of {count:,} interleavings, {where}", words, "0", world.stale == 0)


MEASUREMENTS = {"races": races}

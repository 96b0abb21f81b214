"""Tags that are invalidated while their page renders: the old page is never served afterwards."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
import pytest
from django.http import HttpResponse
from django.test import Client

from perfsuite.caching import invalidate_tags
from tests.responses.site import LOCMEM, SYNC, TIERED, Site, serving, text
from tests.valkey import Valkey, valkey

# By which `make prove` finds them, for ten thousand tries.
pytestmark = pytest.mark.hypothesis


def tries(few: int) -> int:
    """Return how often to try: ``few`` times, or ten thousand in `make prove`."""
    return 10_000 if hypothesis.settings.default.max_examples > 1_000 else few


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with valkey() as running:
        yield running


@contextmanager
def site_in(name: str, server: Valkey, view: Any) -> Iterator[Site]:
    """Have a site of a view whose pages are in a cache of that name."""
    # Those who come while a page that is outdated renders wait for it, and find that it is not stored.
    options = {"HIT_FOR_MISS_S": 0}
    if name != "tiered over valkey":
        cache = {"tiered": TIERED, "locmem": LOCMEM}[name]
        with serving(SYNC, {"p/": view}, cache=cache, options=options) as site:
            yield site
        return
    tiered = {"BACKEND": "perfsuite.caching.TieredCache", "OPTIONS": {"TIERS": {"cold": {"ALIAS": "shared"}}}}
    shared = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": server.url,
        "OPTIONS": {"SOCKET_TIMEOUT": 5, "SOCKET_CONNECT_TIMEOUT": 5},
    }
    with serving(SYNC, {"p/": view}, cache=tiered, others={"shared": shared}, options=options) as site:
        yield site


CACHES = ["tiered", "locmem", "tiered over valkey"]


@pytest.mark.parametrize("cache", CACHES)
def test_a_tag_that_is_invalidated_while_its_page_renders_is_never_served_old(
    server: Valkey, cache: str
) -> None:
    state = {"value": 0, "at": ""}

    def change() -> None:
        state["value"] += 1
        invalidate_tags("t")

    def view(request: Any) -> HttpResponse:
        request.perfsuite.tags.add("t")
        if state["at"] == "before":
            change()
        seen = state["value"]
        if state["at"] == "after":
            change()
        return text(str(seen))

    number = tries(100)
    with site_in(cache, server, view) as site:
        for each in range(number):
            state["at"] = ("before", "after")[each % 2]
            site.get("/p/")
            state["at"] = ""
            for _ in range(2):
                assert site.get("/p/").body == str(state["value"]).encode()
            change()

    # One that was outdated, and one that was kept and served again.
    assert len(site.runs) == 2 * number


class Race:
    """Renders a page for several threads while another invalidates its tag, once for each render that has begun."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.value = self.invalidated = 0
        self.is_over = False
        self.renders: list[int] = []
        self.wrong: list[Any] = []
        self.begun: queue.SimpleQueue[threading.Event | None] = queue.SimpleQueue()

    def view(self, request: Any) -> HttpResponse:
        """Render."""
        request.perfsuite.tags.add("t")
        seen, done = self.value, threading.Event()
        if self.is_over:
            return text(str(seen))
        self.renders.append(seen)
        self.begun.put(done)
        if len(self.renders) % 2:  # half of them surely while the page renders, half whenever it comes
            assert done.wait(30)
        return text(str(seen))

    def invalidate(self) -> None:
        """Change the page once for each render."""
        while (done := self.begun.get()) is not None:
            self.value += 1
            invalidate_tags("t")
            self.invalidated = self.value
            done.set()

    def read(self) -> None:
        """Read the page until it was rendered often enough, and note what is older than what was invalidated before."""
        client = Client()
        while len(self.renders) < self.number:
            at_least = self.invalidated
            got = int(client.get("/p/").content)
            if got < at_least:
                self.wrong.append((got, at_least))

    def run(self) -> None:
        """Run it, with three who read."""
        readers = [threading.Thread(target=self.read) for _ in range(3)]
        invalidator = threading.Thread(target=self.invalidate)
        for thread in (*readers, invalidator):
            thread.start()
        for thread in readers:
            thread.join()
        self.begun.put(None)
        invalidator.join()
        self.is_over = True


@pytest.mark.parametrize("cache", CACHES)
def test_what_another_thread_invalidates_at_any_moment_of_a_render_is_never_served_afterwards(
    server: Valkey, cache: str
) -> None:
    race = Race(tries(300))
    with site_in(cache, server, race.view) as site:
        race.run()
        last = site.get("/p/").body

    assert race.wrong == []
    assert len(race.renders) >= race.number
    assert race.value == len(race.renders), "each render that began was followed by one invalidation"
    assert last == str(race.value).encode()

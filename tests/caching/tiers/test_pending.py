"""What is written down while a server is away, and made good when it is back."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from perfsuite.caching import TieredCache
from perfsuite.caching.tiers import pending
from perfsuite.caching.tiers.pending import Pending
from tests.caching.tiers.conftest import Pair
from tests.integration.site import wait_until
from tests.valkey import Valkey


def test_what_was_written_down_again_meanwhile_stays() -> None:
    noted = Pending()
    noted.note_tags(["t"], remove=False)
    noted.note_keys(["k"])
    written = noted.written()
    noted.note_tags(["t"], remove=True)
    noted.done(written)
    assert noted.written() == ([], {"t": True}, False, False)
    noted.note_tags(["t"], remove=False)
    assert noted.tags == {"t": True}
    noted.done(noted.written())
    assert not noted


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MAX_KEYS", 3)
    monkeypatch.setattr(pending, "MAX_TAGS", 3)
    noted = Pending()
    noted.note_keys(["a", "b", "c"])
    assert not noted.everything
    noted.note_keys(["d"])
    assert noted.written() == ([], {}, True, False)
    noted.note_tags(["a", "b", "c", "d"], remove=False)
    assert noted.written() == ([], {}, True, True)
    noted.done(noted.written())
    assert not noted


@contextlib.contextmanager
def away(server: Valkey, cache: TieredCache) -> Iterator[None]:
    server.stop()
    try:
        for number in range(3):
            cache.get(f"missing{number}")
        assert cache.engine.shared.breaker.is_open
        yield
    finally:
        server.cont()
    wait_until(lambda: not cache.engine.shared.breaker.is_open, "the server's return")
    assert not cache.engine.shared.pending


CHANGES: dict[str, Callable[[TieredCache], Any]] = {
    "touched to its end": lambda cache: cache.touch("k", 0),
    "cleared": lambda cache: cache.clear(),
    "removed by a tag": lambda cache: cache.invalidate_tags("t", mode="remove"),
    "deleted among others": lambda cache: cache.delete_many(["k", "other"]),
    "set with others": lambda cache: cache.set_many({"k": "own", "x": 1}),
    "set to its end": lambda cache: cache.set("k", "own", timeout=0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_holds_here_at_once_and_everywhere_afterwards(
    faulty: Pair, own_server: Valkey, change: str
) -> None:
    here, there = faulty
    here.set("k", "old", tags=["t"], stale_for=60)
    assert there.get("k") == "old"
    with away(own_server, here):
        CHANGES[change](here)
        assert here.get("k") in (None, "own")
    assert here.get("k") is None
    wait_until(lambda: there.get("k") is None, "the message")
    here.set("k", "new", tags=["t"])
    assert there.get("k") == "new"


def test_what_was_added_and_counted_alone_is_nobodys_afterwards(faulty: Pair, own_server: Valkey) -> None:
    here, there = faulty
    with away(own_server, here):
        assert here.add("lock", 1)
        assert not here.add("lock", 2)
        assert here.incr("lock") == 2
    assert here.get("lock") is None
    assert there.add("lock", 3)
    assert not here.add("lock", 4)


@pytest.mark.parametrize("many", ["keys", "tags"])
def test_too_much_to_write_down_is_everything(
    faulty: Pair, own_server: Valkey, many: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = faulty
    monkeypatch.setattr(pending, "MAX_KEYS", 5)
    monkeypatch.setattr(pending, "MAX_TAGS", 5)
    tags = [f"tag{number}" for number in range(10)]
    here.set_many({f"k{number}": "old" for number in range(10)})
    for number in range(10):
        here.set(f"tagged{number}", "old", tags=[tags[number]])

    def compute() -> str:
        with away(own_server, here):
            if many == "keys":
                here.delete_many([f"k{number}" for number in range(10)])
            else:
                here.invalidate_tags(*tags)
                here.invalidate_tags("t")
        return "old"

    assert there.get_or_set("computed", compute, tags=["t"]) == "old"
    names = [f"{kind}{number}" for kind in ("k", "tagged") for number in range(10)]
    assert here.get_many(names) == {}
    wait_until(lambda: there.get_many(names) == {}, "that the other knows")
    if many == "tags":
        wait_until(lambda: there.get("computed") is None, "that what was computed before is gone", 10)
        assert here.get("computed") is None


def test_a_single_timeout_leaves_no_token_that_nobody_else_knows(faulty: Pair, own_server: Valkey) -> None:
    here, there = faulty
    here.get("warm-up")
    own_server.stop()
    try:
        here.set("alone", 1, tags=["pages"])
    finally:
        own_server.cont()
    wait_until(lambda: not here.engine.shared.pending, "the server's return")
    here.set("k", "value", tags=["pages"])
    assert there.get("k") == "value"
    there.invalidate_tags("pages")
    wait_until(lambda: here.get("k") is None, "the message")
    here.set("k", "again", tags=["pages"])
    assert there.get("k") == "again"


def test_the_first_set_after_an_invalidation_was_made_good_is_kept(faulty: Pair, own_server: Valkey) -> None:
    here, there = faulty
    here.get("warm-up")
    own_server.kill()
    for number in range(3):
        here.get(f"missing{number}")
    here.invalidate_tags("pages")
    own_server.start()
    wait_until(lambda: not here.engine.shared.breaker.is_open, "the server's return")
    assert here.get("k") is None
    here.set("k", "new", tags=["pages"])
    assert there.get("k") == "new"


def test_what_is_too_old_to_be_trusted_is_nowhere_to_be_seen(
    faulty: Pair, own_server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    here, _ = faulty
    here.set("k", "old", stale_for=1)
    entry = here.engine.held(here.make_key("k"))
    assert entry is not None
    with caplog.at_level(logging.INFO, "perfsuite.caching"):
        own_server.kill()
        wait_until(lambda: f"{here.engine.name!r} is cut off" in caplog.text, "the reader to notice")
    for number in range(3):
        here.get(f"missing{number}")
    here.engine.trusted_until = 0.0  # as when it has heard nothing for long
    entry.created -= here.engine.options.max_staleness + 0.5
    assert here.get("k") is None
    assert not here.has_key("k")
    assert here.get_or_set("k", lambda: "new", stale_for=1) == "old", "that much more is agreed to"
    wait_until(lambda: here.get("k") == "new", "the refresh")
    entry = here.engine.held(here.make_key("k"))
    assert entry is not None
    entry.created -= here.engine.options.max_staleness + 2
    assert here.get_or_set("k", lambda: "newest", stale_for=1) == "newest"
    assert here.add("other", 1)

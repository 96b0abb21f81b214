"""What a reader of the stream cannot have heard, it notices: trimmed messages, a server that knows less, or takes no writes."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_py

from perfsuite.caching import TieredCache
from perfsuite.caching.tiers.scripts import STREAM_LENGTH
from tests.caching.coherence.test_stream import Link
from tests.caching.tiers.conftest import Pair, alias, with_shared
from tests.integration.site import wait_until
from tests.valkey import Valkey

NOTICED_S = 20.0


@contextlib.contextmanager
def suspended(cache: TieredCache, monkeypatch: pytest.MonkeyPatch, *, cut: bool = False) -> Iterator[None]:
    """Have the reader of a cache hear nothing until the block ends, as in a process that is suspended; or have it cut off."""
    redis = cache.engine.shared.redis
    real, waits, goes_on = redis.read, threading.Event(), threading.Event()

    def read(*args: Any) -> Any:
        waits.set()
        assert goes_on.wait(60)
        if cut:
            raise redis_py.ConnectionError("the server is another one now")
        return real(*args)

    monkeypatch.setattr(redis, "read", read)
    assert waits.wait(10)
    try:
        yield
    finally:
        monkeypatch.setattr(redis, "read", real)
        goes_on.set()


def say_nothing(cache: TieredCache, times: int, maxlen: int = STREAM_LENGTH) -> None:
    redis = cache.engine.shared.redis
    with redis.client.pipeline(transaction=False) as pipe:
        for _ in range(times):
            pipe.xadd(redis.stream, {"o": "N"}, maxlen=maxlen, approximate=False)
        pipe.execute()


def test_who_was_suspended_while_messages_were_trimmed_away_forgets_everything(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair
    here.set_many({"k": "old", "other": "kept"})
    assert there.get("k") == "old"
    with suspended(there, monkeypatch):
        here.delete("k")
        say_nothing(here, 3_000, maxlen=2_000)
    wait_until(lambda: there.get("k") is None, "that it forgets", NOTICED_S)
    assert there.get("other") == "kept"


def test_who_was_suspended_and_missed_nothing_reads_on(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = pair
    here.set_many({"k": "old", "other": "kept"})
    assert there.get_many(["k", "other"]) == {"k": "old", "other": "kept"}
    there_epoch = there.engine.shared.reader._epoch
    with suspended(there, monkeypatch):
        here.delete("k")
        say_nothing(here, 3_000)
    wait_until(lambda: there.get("k") is None, "the message", NOTICED_S)
    assert there.engine.held(there.make_key("other")) is not None, "nothing else was forgotten"
    assert there.engine.shared.reader._epoch == there_epoch


@pytest.mark.parametrize("said_since", [False, True])
def test_what_was_invalidated_stays_so_when_a_server_knows_less_than_it_did(
    pair: Pair, said_since: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restart from an older snapshot, or when a replica that lagged behind has taken over."""
    here, there = pair
    client, redis = here.engine.shared.redis.client, here.engine.shared.redis
    here.set("k", "old", tags=["pages"])
    here.set("session", "without tags")
    assert there.get("k") == "old"
    before = {key: client.dump(key) for key in client.scan_iter(match=f"{redis.namespace}*")}
    here.invalidate_tags("pages")
    wait_until(lambda: there.get("k") is None, "the message")
    reader = here.engine.shared.reader
    wait_until(lambda: reader._last == redis.position(b"")[2], "that it has read its own")
    with suspended(here, monkeypatch, cut=True), suspended(there, monkeypatch, cut=True):
        with client.pipeline(transaction=True) as pipe:
            for key, data in before.items():
                pipe.restore(key, 0, data, replace=True)
            pipe.execute()
        if said_since:
            say_nothing(here, 10)
    fresh = with_shared(here.engine.name, WAIT=4.4)
    wait_until(lambda: client.get(redis._tag("pages")) is None, "the loss of the tokens", NOTICED_S)
    for cache in (here, there, fresh):
        wait_until(lambda cache=cache: cache.get("k") is None, "that it is a miss")  # type: ignore[misc]
        assert cache.get("session") == "without tags"
    here.set("k", "new", tags=["pages"])
    wait_until(lambda: fresh.get("k") == there.get("k") == "new", "that all agree")


@pytest.mark.parametrize(
    "fields", [{"o": "Z", "k": "k"}, {"k": "k"}, {"o": "S", "d": "x"}, {"o": "T", "t": "1.2"}, {"o": b"\xff"}]
)
def test_a_message_that_cannot_be_understood_makes_everything_forgotten_and_the_next_is_read(
    pair: Pair, fields: dict[str, Any]
) -> None:
    here, there = pair
    here.set("k", "old")
    assert there.get("k") == "old"
    redis = here.engine.shared.redis
    wait_until(lambda: there.engine.shared.reader._last == redis.position(b"")[2], "that all is read")
    redis.client.xadd(redis.stream, fields)
    wait_until(lambda: not any(tier.entries for tier in there.engine.tiers), "that it forgets", NOTICED_S)
    assert there.get("k") == "old"
    here.set("k", "new")
    wait_until(lambda: there.get("k") == "new", "the next message", NOTICED_S)


def test_who_only_reads_notices_that_the_server_takes_no_writes(
    faulty: Pair, own_server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    """Others may have invalidated meanwhile what the server still gives away."""
    _, there = faulty
    there.set("k", "secret value")
    there.engine.clear()
    client = there.engine.shared.redis.client
    with caplog.at_level(logging.ERROR, "perfsuite.caching"):
        client.config_set("min-replicas-to-write", 1)
        for _ in range(3):
            there.set("other", "secret value")
            there.engine.clear()
            assert there.get("k") == "secret value", "reads go through between the writes that fail"
        wait_until(lambda: there.engine.shared.breaker.is_open, "that the reader notices", NOTICED_S)
        wait_until(lambda: "NOREPLICAS" in caplog.text, "the log line, which comes after it is open")
    assert "secret" not in caplog.text
    client.config_set("min-replicas-to-write", 0)
    wait_until(lambda: not there.engine.shared.breaker.is_open, "its recovery", NOTICED_S)
    assert there.get("k") == "secret value"
    assert there.get("other") is None


def test_a_fork_of_a_process_whose_server_is_away_finds_it_by_reading_alone(
    faulty: Pair, own_server: Valkey
) -> None:
    here, _ = faulty
    here.set("k", "old")
    own_server.kill()
    for number in range(4):
        here.get(f"missing{number}")
    assert here.engine.shared.breaker.is_open
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(BaseException):
            wait_until(lambda: here.get("k") == "new", "the server", timeout_s=20)
            code = 0
        os._exit(code)
    own_server.start()
    wait_until(lambda: not here.engine.shared.breaker.is_open, "the server's return")
    here.set("k", "new")
    assert os.waitpid(child, 0)[1] == 0


def test_an_alias_that_means_another_server_is_followed(
    settings: Any, valkey: Valkey, own_server: Valkey
) -> None:
    name = f"test-{os.urandom(6).hex()}"
    settings.CACHES = {**settings.CACHES, "shared": alias(valkey)}
    cache = with_shared(name)
    cache.set("k", "there")
    old = cache.engine.shared.reader._thread
    settings.CACHES = {**settings.CACHES, "shared": alias(own_server)}
    wait_until(lambda: not old.is_alive(), "the end of the old reader")
    assert with_shared(name).get("k") is None
    with_shared(name).set("k", "here")
    settings.CACHES = {**settings.CACHES, "shared": alias(valkey)}
    assert with_shared(name).get("k") == "there"


def test_who_alone_is_cut_off_serves_nothing_for_longer_than_the_bound(settings: Any, valkey: Valkey) -> None:
    link = Link(valkey.port)
    behind_link = alias(f"redis://127.0.0.1:{link.port}/0")
    settings.CACHES = {**settings.CACHES, "shared": alias(valkey), "linked": behind_link}
    name = f"test-{os.urandom(6).hex()}"
    here, there = with_shared(name), with_shared(name, TIERS={"cold": {"ALIAS": "linked"}}, MAX_STALENESS=1)
    here.set("k", "old", tags=["pages"])
    here.set("untagged", "old")
    assert there.get_many(["k", "untagged"]) == {"k": "old", "untagged": "old"}
    link.close()
    here.invalidate_tags("pages")
    here.set("untagged", "new")
    changed = time.monotonic()
    wait_until(lambda: there.get_many(["k", "untagged"]) == {}, "the bound", NOTICED_S)
    assert time.monotonic() - changed < 1 + 3  # of a busy machine
    assert there.get_or_set("k", lambda: "computed anew", tags=["pages"]) == "computed anew"
    assert here.get("k") is None

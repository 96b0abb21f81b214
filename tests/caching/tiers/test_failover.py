"""A server behind Sentinel dies and its replica takes over: the tier follows, and what was invalidated meanwhile stays so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.caching.tiers.conftest import alias, with_shared
from tests.integration.site import wait_until
from tests.servers import Server, free_port, start
from tests.valkey import valkey_program


@dataclass
class Guarded:
    """A server, its replica, and the Sentinel that watches both."""

    server: Server
    replica: Server
    sentinel: Server


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    program = valkey_program()
    assert program is not None, "Valkey is missing"
    running: list[Server] = []

    def run(*options: object) -> Server:
        port, folder = free_port(), tmp_path / str(len(running))
        folder.mkdir()
        command = [str(program), *map(str, options), "--port", str(port), "--bind", "127.0.0.1"]
        running.append(start(command, port, folder / "log", cwd=folder))
        running[-1].wait_until_listening()
        return running[-1]

    try:
        server = run("--save", "")
        replica = run("--save", "", "--replicaof", "127.0.0.1", server.port)
        watched = tmp_path / "sentinel.conf"
        watched.write_text(
            f"sentinel monitor theirs 127.0.0.1 {server.port} 1\n"
            "sentinel down-after-milliseconds theirs 500\nsentinel failover-timeout theirs 3000\n"
        )
        made = Guarded(server, replica, run(watched, "--sentinel"))
        asked = redis.Redis(port=made.sentinel.port)
        wait_until(lambda: asked.sentinel_slaves("theirs"), "Sentinel to know the replica")
        yield made
    finally:
        for each in reversed(running):
            each.stop()


def test_the_tier_follows_to_the_replica_that_takes_over(settings: Any, guarded: Guarded) -> None:
    factory = "django_redis.pool.SentinelConnectionFactory"
    sentinel = {
        "CLIENT_CLASS": "django_redis.client.SentinelClient",
        "CONNECTION_FACTORY": factory,
        "SENTINELS": [("127.0.0.1", guarded.sentinel.port)],
    }
    settings.DJANGO_REDIS_CONNECTION_FACTORY = factory
    shared = {**alias("redis://theirs/0", **sentinel)}
    settings.CACHES = {**settings.CACHES, "shared": shared}
    name = f"test-{os.urandom(6).hex()}"
    here, there = with_shared(name, MAX_STALENESS=5), with_shared(name, MAX_STALENESS=5.5)
    here.set("k", "old", tags=["pages"])
    here.set("other", "kept")
    assert there.get("k") == "old"
    replica = redis.Redis(port=guarded.replica.port)
    with redis.Redis(port=guarded.server.port, single_connection_client=True) as writer:
        writer.set("the last write", 1)
        assert writer.wait(1, 30_000) == 1, "The replica lacks what was written."
    guarded.server.stop(9)
    wait_until(
        lambda: here.get("missing") is None and here.engine.shared.breaker.is_open, "the breaker to open"
    )
    here.invalidate_tags("pages")
    assert here.get("k") is None
    for cache in (here, there):
        wait_until(lambda cache=cache: not cache.engine.shared.breaker.is_open, "the replica")  # type: ignore[misc]
        wait_until(lambda cache=cache: cache.get("k") is None, "the invalidation")  # type: ignore[misc]
    assert replica.role()[0] == b"master"
    # On a busy machine the new master may miss a deadline, and the breaker opens once more.
    wait_until(lambda: there.get("other") == "kept", "what the replica has kept")
    here.set("k", "new", tags=["pages"])
    assert there.get("k") == "new"

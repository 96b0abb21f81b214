"""Caches with a shared tier. Two of one name and other options are, as far as they can tell, in two processes."""

from __future__ import annotations

import os
from typing import Any

import pytest

from perfsuite.caching import TieredCache
from tests.valkey import Valkey

Pair = tuple[TieredCache, TieredCache]


def alias(server: Valkey | str, **options: Any) -> dict[str, Any]:
    """Return the entry of ``CACHES`` through which tiers reach a server, or a location."""
    timeouts = {"SOCKET_TIMEOUT": 0.5, "SOCKET_CONNECT_TIMEOUT": 0.5}
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": server if isinstance(server, str) else server.url,
        "OPTIONS": {**timeouts, **options},
    }


def with_shared(name: str = "", **options: Any) -> TieredCache:
    given = {"TIERS": {"cold": {"ALIAS": "shared"}}, **options}
    return TieredCache(name or f"test-{os.urandom(6).hex()}", {"OPTIONS": given})


@pytest.fixture
def pair(settings: Any, valkey: Valkey) -> Pair:
    settings.CACHES = {**settings.CACHES, "shared": alias(valkey)}
    name = f"test-{os.urandom(6).hex()}"
    return with_shared(name), with_shared(name, WAIT=4.5)


@pytest.fixture
def faulty(settings: Any, own_server: Valkey) -> Pair:
    """Return a pair on a server that the test may stop."""
    settings.CACHES = {**settings.CACHES, "shared": alias(own_server, SOCKET_TIMEOUT=0.2)}
    name = f"test-{os.urandom(6).hex()}"
    return with_shared(name, MAX_STALENESS=2), with_shared(name, MAX_STALENESS=2.5)

"""Caches of a test's own: each has a name that no other has, so that nothing is shared."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from perfsuite.caching import TieredCache

MEMORY = {"CHANNEL": "none"}


def new_cache(*, params: dict[str, Any] | None = None, **options: Any) -> TieredCache:
    """Return a cache of memory tiers that no other process sees, unless the options say otherwise."""
    given = dict(params or {})
    return TieredCache(f"test-{os.urandom(6).hex()}", {**given, "OPTIONS": {**MEMORY, **options}})


def on_host(folder: Path, name: str = "shared", **options: Any) -> TieredCache:
    """Return a cache on the channel of the host, whose files are in ``folder``."""
    return TieredCache(name, {"OPTIONS": {"CHANNEL": "host", "RUN_DIR": str(folder), **options}})


def places(cache: TieredCache, key: str) -> list[str]:
    """Return the names of the tiers that hold a key; never more than one."""
    full = cache.make_key(key)
    return [tier.name for tier in cache.engine.tiers if full in tier.entries]

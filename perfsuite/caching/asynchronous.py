"""Django's asynchronous cache methods: what memory can answer is answered at once, in the event loop; only what needs the
network goes to a thread, and not to the one that Django's own blocking code shares.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from time import perf_counter
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from perfsuite.caching import compute
from perfsuite.caching.collected import note
from perfsuite.caching.conf import CachingSettings
from perfsuite.caching.entry import Entry
from perfsuite.caching.flight import in_thread
from perfsuite.caching.storing import Storing
from perfsuite.caching.tags import checked_tags


class AsyncMethods(Storing):
    """The a-methods of the backend. Each does what the one without the a does."""

    async def _run(self, name: str, *args: Any, **kwargs: Any) -> Any:
        method = getattr(self, name)
        if self._engine.shared is None:
            return method(*args, **kwargs)
        return await in_thread(partial(method, *args, **kwargs))

    async def alookup(self, full: str) -> Entry | None:
        """Return a fresh entry from any tier; a miss is counted and leaves a lease."""
        engine = self._engine
        if engine.shared is None:
            return self.lookup(full)
        if engine.counter[0] != engine.seen:
            engine.catch_up()
        if engine.shared.breaker.is_open:  # nothing to wait for
            return self.lookup(full)
        is_sample, started = next(engine.sampling), perf_counter()
        entry = engine.find(full, time.time()) or await in_thread(self._found_lower, full)
        if is_sample:
            engine.samples.append((full, entry is not None, perf_counter() - started))
        return entry

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return the value of a key, or ``default``."""
        entry = await self.alookup(self._full(key, version))
        return default if entry is None else entry.value()

    async def aset(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **kwargs: Any
    ) -> None:
        """Store a value."""
        await self._run("set", key, value, timeout, version, **kwargs)

    async def aadd(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **kwargs: Any
    ) -> bool:
        """Store a value unless the key has one."""
        return bool(await self._run("add", key, value, timeout, version, **kwargs))

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Give a key a new time from now."""
        return bool(await self._run("touch", key, timeout, version))

    async def adelete(self, key: Any, version: int | None = None) -> bool:
        """Forget a key."""
        return bool(await self._run("delete", key, version))

    async def ahas_key(self, key: Any, version: int | None = None) -> bool:
        """Tell whether a key has a value."""
        return bool(await self._run("has_key", key, version))

    async def aincr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add to a number and return the sum."""
        return int(await self._run("incr", key, delta, version))

    async def adecr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Subtract from a number and return the difference."""
        return await self.aincr(key, -delta, version)

    async def aget_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """Return the values of those keys that have one."""
        found: dict[Any, Any] = await self._run("get_many", list(keys), version)
        return found

    async def aset_many(
        self, data: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **kwargs: Any
    ) -> list[Any]:
        """Store several values."""
        failed: list[Any] = await self._run("set_many", data, timeout, version, **kwargs)
        return failed

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        """Forget several keys."""
        await self._run("delete_many", list(keys), version)

    async def aclear(self) -> None:
        """Forget everything."""
        await self._run("clear")

    async def ainvalidate_tags(self, *tags: str, mode: str = "expire") -> None:
        """Make everything that carries one of the tags a miss."""
        await self._run("invalidate_tags", *tags, mode=mode)

    async def aget_or_set(
        self,
        key: Any,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Iterable[str] = (),
        tier: str | None = None,
        stale_for: float | None = None,
    ) -> Any:
        """Return the value of a key; where there is none, store ``default``, or what it returns or its coroutine does."""
        full = self._full(key, version)

        def factory() -> Any:
            return default() if callable(default) else default

        if not CachingSettings.get().enabled:
            return await compute.awaited(factory())
        names = checked_tags(tags) if tags else ()
        if names:
            note(names)
        wanted = compute.Wanted(full, timeout, names, self._place(tier), stale_for)
        return await compute.aget_or_compute(self, wanted, factory)

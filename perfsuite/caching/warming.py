"""Warming: computing what will be asked for before it is. ``@warmer`` registers a callable of an app's ``warmers.py``.

The leader runs it, one process of the fleet, in a thread of its own. The surprising rule: a process fills only its own memory and
what is shared, so on a cache without a tier in Redis the leader's warming serves the leader alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import caches
from django.db import connections
from django.utils.module_loading import autodiscover_modules

from perfsuite.caching.functions import tiered_aliases
from perfsuite.caching.tags import checked_tags
from perfsuite.metrics.leader import register_job

logger = logging.getLogger("perfsuite.caching")
W = TypeVar("W", bound=Callable[[], Any])

# How often the leader looks whether a tag was invalidated.
LOOK_EVERY_S = 10.0


@dataclass
class Warmer:
    """A callable that fills a cache, how often it runs, and the tags whose invalidation makes it run."""

    name: str
    run: Callable[[], object]
    every_s: float | None = None
    tags: tuple[str, ...] = ()
    seen: Any = None


_warmers: dict[str, Warmer] = {}
_turn = threading.Lock()


def warmer(
    *, every: float | timedelta | None = None, tags: Iterable[str] = (), name: str = ""
) -> Callable[[W], W]:
    """Register a callable without arguments that fills the cache.

    The leader runs it every ``every`` seconds, and soon after one of ``tags`` was invalidated. With neither only ``warm_caches``
    does. It is called by ``name``, else by the function's own. What it raises is logged, and it runs again when it is next due.
    """
    every_s = every.total_seconds() if isinstance(every, timedelta) else every
    if every_s is not None and every_s <= 0:
        raise ValueError(f"every is {every!r}; write a number of seconds, such as 600.")

    def register(function: W) -> W:
        made = Warmer(name or function.__name__, function, every_s, checked_tags(tags))
        there = _warmers.get(made.name)
        if there is not None and _place(there.run) != _place(function):
            raise ValueError(
                f"Two warmers are called {made.name!r}, in {_place(there.run)} and {_place(function)}; write name=."
            )
        _warmers[made.name] = made
        if made.every_s is not None:
            register_job(f"warm:{made.name}", made.every_s, partial(_begin, made))
        if made.tags:
            register_job(f"warm-tags:{made.name}", LOOK_EVERY_S, partial(_begin_if_invalidated, made))
        return function

    return register


def discover() -> None:
    """Import each app's ``warmers.py``."""
    autodiscover_modules("warmers")


def warmers() -> dict[str, Warmer]:
    """Return the warmers by name."""
    return dict(sorted(_warmers.items()))


def only_memory() -> list[str]:
    """Return the tiered caches that a process can warm for itself alone."""
    found = []
    for alias in tiered_aliases():
        cache: Any = caches[alias]
        if cache.engine.shared is None:
            found.append(alias)
    return found


def _place(function: Callable[..., object]) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', function)}"


# The leader's jobs. A round of the leader must be short, so the work itself is another thread's.


def _begin(made: Warmer) -> bool:
    """Start a thread that warms, unless one is at it; tell whether it was started."""
    if not _turn.acquire(blocking=False):
        return False
    try:
        threading.Thread(target=_warm, args=(made,), name="perfsuite-cache-warming", daemon=True).start()
    except BaseException:
        _turn.release()
        raise
    return True


def _warm(made: Warmer) -> None:
    try:
        made.run()
    except Exception:
        logger.exception("The warmer %s failed; it runs again when it is next due.", made.name)
    finally:
        connections.close_all()
        _turn.release()


def _begin_if_invalidated(made: Warmer) -> None:
    """Warm where a tag has another token than at the last look; the first look of a process only remembers them."""
    now = [caches[alias].tokens(made.tags) for alias in tiered_aliases()]  # type: ignore[attr-defined]  # a TieredCache
    if made.seen is None or made.seen == now or _begin(made):
        made.seen = now


# By hand


@dataclass(frozen=True)
class Outcome:
    """What came of one warmer or address: why it failed, or the empty string, and how long it took."""

    name: str
    failure: str
    seconds: float


def run_warmers(chosen: Sequence[Warmer]) -> Iterator[Outcome]:
    """Run warmers here, one after the other."""
    for made in chosen:
        yield _timed(made.name, made.run)


def _timed(name: str, work: Callable[[], object]) -> Outcome:
    began = time.perf_counter()
    try:
        work()
    except Exception as exc:  # noqa: BLE001 - it is what the command reports
        return Outcome(name, f"{type(exc).__name__}: {exc}", time.perf_counter() - began)
    return Outcome(name, "", time.perf_counter() - began)


def fetch(paths: Sequence[str], jobs: int, host: str = "") -> Iterator[Outcome]:
    """Ask for paths in this process as a visitor who is not logged in, ``jobs`` at a time, and yield each as it is answered."""
    if not paths:
        return
    with ThreadPoolExecutor(jobs, thread_name_prefix="perfsuite-warm") as pool:
        waiting = [pool.submit(_fetched, path, host or default_host()) for path in paths]
        for done in as_completed(waiting):
            yield done.result()


def _fetched(path: str, host: str) -> Outcome:
    from django.test import Client

    def ask() -> None:
        # An exception of one request is told to all clients of the process, so none of them may raise it.
        client = Client(raise_request_exception=False, SERVER_NAME=host)
        response = client.get(path, secure=bool(settings.SECURE_SSL_REDIRECT))
        if hasattr(response, "streaming_content"):
            for _ in response.streaming_content:
                pass
        if response.status_code != 200:
            raise NotWarmed(f"status {response.status_code}")

    try:
        return _timed(path, ask)
    finally:
        connections.close_all()


class NotWarmed(Exception):
    """An address did not answer with a page."""


def default_host() -> str:
    """Return the first host of ALLOWED_HOSTS that is one, else localhost."""
    for host in settings.ALLOWED_HOSTS:
        if "*" not in host and not host.startswith("["):
            return str(host).lstrip(".")
    return "localhost"

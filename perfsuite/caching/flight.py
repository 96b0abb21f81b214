"""Single flight: of all who want the same value at once, in threads or tasks, one computes it and the others wait.

Who waits, waits with a bound and then computes for itself. A leader that is stopped from outside (a cancelled task, an interrupt)
hands nothing over; those who wait try again, and one of them leads. A computation that needs its own key runs alone.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from asgiref.sync import sync_to_async

from perfsuite.caching.entry import Entry

_led: ContextVar[tuple[tuple[int, str], ...]] = ContextVar("perfsuite_flights", default=())


class Abandoned(Exception):
    """The leader was stopped before it had a value; somebody else must lead."""


class Flights:
    """The computations under way in this process, by key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, Future[Entry]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._flights

    def leads_already(self, key: str) -> bool:
        """Tell whether this thread or task is computing the key further up."""
        return (id(self), key) in _led.get()

    def join(self, key: str) -> tuple[Future[Entry], bool]:
        """Return the flight of a key, and whether the caller leads it and must ``land`` it."""
        with self._lock:
            found = self._flights.get(key)
            if found is not None:
                return found, False
            made = self._flights[key] = Future()
            return made, True

    @contextmanager
    def leading(self, key: str, flight: Future[Entry]) -> Iterator[None]:
        """Lead a flight; the block calls ``flight.set_result``. An exception of the computation is that of all who wait."""
        token = _led.set((*_led.get(), (id(self), key)))
        try:
            yield
        except Exception as exc:
            self._land(key, flight)
            flight.set_exception(exc)
            raise
        finally:
            _led.reset(token)
            self.abandon(key, flight)

    def abandon(self, key: str, flight: Future[Entry]) -> None:
        """End a flight; who waits for a value that has not come must look elsewhere."""
        self._land(key, flight)
        if not flight.done():
            flight.set_exception(Abandoned())

    def _land(self, key: str, flight: Future[Entry]) -> None:
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]


def wait(flight: Future[Entry], seconds: float) -> Entry | None:
    """Return what the leader computed; None after ``seconds``, or when it was abandoned. Raises what the computation raised."""
    try:
        return flight.result(seconds)
    except (FutureTimeout, Abandoned):
        return None


async def await_(flight: Future[Entry], seconds: float) -> Entry | None:
    """Do the same without blocking the event loop."""
    waiting: asyncio.Future[Any] = asyncio.wrap_future(flight)
    try:
        return await asyncio.wait_for(asyncio.shield(waiting), seconds)
    except (TimeoutError, Abandoned):
        return None


async def in_thread(work: Callable[..., Any], *args: Any) -> Any:
    """Run what waits for the network in a thread, not the one that Django's own blocking code shares."""
    return await sync_to_async(work, thread_sensitive=False)(*args)

"""Time a named operation of the host: a function of any kind, or a block.

    @monitor_performance("import_leads")
    def import_leads(rows): ...

    with monitor_performance("render_invoice"):
        ...

The figures stand in the panel under the name, and each single timing goes to the logger ``performance`` at DEBUG.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing
from functools import wraps
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction

from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.guard import Guard
from perfsuite.metrics.recorder import recorder
from perfsuite.monitoring import kinds

timings = logging.getLogger("performance")

F = TypeVar("F", bound=Callable[..., Any])
Raised = type[BaseException] | None

_guard = Guard("operations")


class monitor_performance:  # noqa: N801 - used like a function
    """Decorator and context manager that records how long something takes, and whether it raised.

    Works on functions, coroutine functions, generators and async generators (those are timed from their first item to their end,
    the consumer's time included). One object may be entered again inside itself, but not by two threads at once: write
    ``with monitor_performance(...)`` where it is used. The name is a label, so it must not hold ids.
    """

    def __init__(self, name: str) -> None:
        # Without the brackets, the function itself arrives here.
        if not name or type(name) is not str:
            raise TypeError(f'A name is missing, got {name!r}; write @monitor_performance("import_leads").')
        self.name = name
        self._started: list[float] = []

    def __enter__(self) -> monitor_performance:
        self._started.append(perf_counter())
        return self

    def __exit__(self, kind: Raised, exc: BaseException | None, traceback: TracebackType | None) -> None:
        _record(self.name, self._started.pop(), exc)

    async def __aenter__(self) -> monitor_performance:
        return self.__enter__()

    async def __aexit__(
        self, kind: Raised, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, exc, traceback)

    def __call__(self, function: F) -> F:
        """Return ``function`` timed, of the kind that it was."""
        if not callable(function):
            raise TypeError(f"{function!r} cannot be called; write @monitor_performance below @classmethod.")
        if inspect.isasyncgenfunction(function):
            return cast(F, _timed_async_generator(self.name, function))
        if iscoroutinefunction(function):
            return cast(F, _timed_coroutine(self.name, function))
        if inspect.isgeneratorfunction(function):
            return cast(F, _timed_generator(self.name, function))
        return cast(F, _timed(self.name, function))


def _timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        with monitor_performance(name):
            return function(*args, **kwargs)

    return timed


def _timed_coroutine(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def timed(*args: Any, **kwargs: Any) -> Any:
        with monitor_performance(name):
            return await function(*args, **kwargs)

    return timed


def _timed_generator(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with monitor_performance(name):
            return (yield from function(*args, **kwargs))

    return timed


def _timed_async_generator(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def timed(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with monitor_performance(name):
            async with aclosing(function(*args, **kwargs)) as items:
                # By hand what ``yield from`` does, which async generators do not have: pass on what is sent and thrown in.
                step: Awaitable[Any] = items.asend(None)
                while True:
                    try:
                        item = await step
                    except StopAsyncIteration:
                        return
                    try:
                        step = items.asend((yield item))
                    except GeneratorExit:
                        raise
                    except BaseException as exc:  # noqa: BLE001 - thrown in, and so passed on
                        step = items.athrow(exc)

    return timed


def _record(name: str, started: float, exc: BaseException | None) -> None:
    us = (perf_counter() - started) * 1e6
    if not _guard.on or not MetricsSettings.get().enabled:
        return
    try:
        outcome = "error" if isinstance(exc, Exception) else "ok"
        recorder.observe(kinds.OPERATIONS, (name, outcome), us)
        if timings.isEnabledFor(logging.DEBUG):
            timings.debug("%s %.1f ms, %s", name, us / 1e3, outcome)
    except Exception as failure:  # noqa: BLE001 - the guard's
        _guard.failed(failure)

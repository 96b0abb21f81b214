"""What runs outside of requests: the host's commands, tasks and the shell, each under a label of its own.

    with track("nightly"):      # or @track("nightly"), above a function or a coroutine function
        ...

Each has a tally as a request has. It is folded when it ends and with every flush, for some never end. The surprising rule:
inside a request nothing changes, whatever is called there belongs to it; and neither in a test run nor in a command of Django's
own, such as ``migrate`` and ``test``, anything is recorded: the store may not be there yet, and must not be made for them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextvars import Token
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar
from weakref import WeakSet

import django
from asgiref.sync import iscoroutinefunction
from django.core.management.base import BaseCommand

from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.flusher import in_test_run
from perfsuite.metrics.guard import Guard
from perfsuite.metrics.recorder import Observation, recorder
from perfsuite.metrics.request import Tally, current, fold, in_hand, suppress
from perfsuite.queries import kinds
from perfsuite.queries.patching import Patch

SHELL = "<shell>"
SHELLS = frozenset(["shell", "shell_plus"])
# Whose commands are not recorded, but for the shell.
UNRECORDED = ("perfsuite.", "django.")

F = TypeVar("F", bound=Callable[..., Any])

guard = Guard("queries.outside")


class Outside(Tally):
    """The tally of something that is no request. ``finds`` is False where its statements say nothing about how it is written."""

    __slots__ = ("__weakref__", "finds", "label")

    def __init__(self, label: str, finds: bool = True) -> None:
        super().__init__()
        self.label, self.finds = label, finds

    def route(self, status: int = 200) -> str:
        """Return its label."""
        return self.label

    def counted(self) -> None:
        """Count a run; also starts the flusher, which sees to it that nothing is lost at the end of the process."""
        recorder.observe(kinds.OUTSIDE, (self.label,), 1)


_lock = threading.Lock()
_living: WeakSet[Outside] = WeakSet()


class _Process:
    """The tally of what has none in a process that runs a command: its threads count for it."""

    def __init__(self) -> None:
        self.tally: Outside | None = None
        self.command: str = ""

    def of_now(self) -> Outside | None:
        """Return it, made anew for a command that has begun meanwhile; None while none runs."""
        label = self.command
        if not label:
            return None
        if self.tally is None or self.tally.label != label:
            self.tally = _begun(Outside(label, finds=False))
        return self.tally


_process = _Process()


def tally_of(tally: Tally | None) -> Tally | None:
    """Return the tally that counts a statement where a hook has found this one: None where nobody counts it."""
    if tally is not None or not guard.on:
        return None
    try:
        return None if not _process.command or in_test_run() else _process.of_now()
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)
        return None


def may_find(tally: Tally) -> bool:
    """Tell whether what a tally's statements repeat says anything about how the host is written."""
    return not tally.discarded and (not isinstance(tally, Outside) or tally.finds)


def is_request(tally: Tally) -> bool:
    """Tell whether a tally is that of a request which counts."""
    return not tally.discarded and not isinstance(tally, Outside)


class track:  # noqa: N801 - used like a function
    """Count the statements of a task under its name, as ``<task> nightly``. Does nothing inside of a request.

    The name is a label, so it must not hold ids. A generator is not followed; write ``with track(...)`` inside of it.
    """

    def __init__(self, name: str) -> None:
        if not name or type(name) is not str:
            raise TypeError(f'A name is missing, got {name!r}; write @track("nightly").')
        self.label = f"<task> {name}"
        self._runs: list[Run] = []

    def __enter__(self) -> track:
        self._runs.append(Run(self.label).begin())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._runs.pop().end()

    def __call__(self, function: F) -> F:
        """Return a function that is tracked whenever it runs."""
        label = self.label

        @wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            run = Run(label).begin()
            try:
                return await function(*args, **kwargs)
            finally:
                run.end()

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            run = Run(label).begin()
            try:
                return function(*args, **kwargs)
            finally:
                run.end()

        return acall if iscoroutinefunction(function) else call  # type: ignore[return-value]


class Run:
    """One run of something outside of requests; without effect inside of a request or where nothing is measured."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._tally: Outside | None = None
        self._token: Token[Tally | None] | None = None

    def begin(self) -> Run:
        """Give the context at hand a tally of its own."""
        try:
            outer = in_hand()
            if (outer is None or isinstance(outer, Outside)) and guard.on and MetricsSettings.get().enabled:
                self._tally = _begun(Outside(self.label, finds=self.label != SHELL))
                self._token = current.set(self._tally)
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)
        return self

    def end(self) -> None:
        """Give it back the one that it had, and fold."""
        if self._tally is None or self._token is None:
            return
        try:
            current.reset(self._token)
        except ValueError:  # it ends in another context than it began in
            current.set(None)
        try:
            self._tally.closed = True
            if self._tally.notes is not None:
                self._tally.notes.ended()
            fold((self._tally,), self.label)
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)


def _begun(tally: Outside) -> Outside:
    with _lock:
        _living.add(tally)
    return tally


def fold_living() -> Iterator[Observation]:
    """Fold what goes on; recorded with each flush."""
    with _lock:
        living = [tally for tally in _living if tally.held]
    for tally in living:
        fold((tally,), tally.label)
    yield from ()


# Commands


def _executing(original: Any) -> Any:
    @wraps(original)
    def execute(self: BaseCommand, *args: Any, **kwargs: Any) -> Any:
        # One that a request, a task or another command calls is a part of that.
        if not patch.on or not guard.on or in_hand() is not None or in_test_run():
            return original(self, *args, **kwargs)
        module = type(self).__module__
        name = module.rpartition(".")[2]
        if module.startswith(UNRECORDED) and name not in SHELLS:
            with suppress():
                return original(self, *args, **kwargs)
        label = SHELL if name in SHELLS else f"<command> {name}"
        run, before, _process.command = Run(label).begin(), _process.command, label
        try:
            return original(self, *args, **kwargs)
        finally:
            _process.command = before
            run.end()

    return execute


patch = Patch(BaseCommand, "execute", _executing)


# Django's own tasks, which it has from 6.0 on

_running: dict[str, Run] = {}
MAX_RUNNING = 1_000


def _on_task_started(sender: object, task_result: Any, **kwargs: object) -> None:
    if len(_running) < MAX_RUNNING and not in_test_run():
        _running[task_result.id] = Run(f"<task> {task_result.task.module_path}").begin()


def _on_task_finished(sender: object, task_result: Any, **kwargs: object) -> None:
    if run := _running.pop(task_result.id, None):
        run.end()


def install() -> None:
    """Count what runs outside of requests from now on. Idempotent."""
    recorder.before_take(fold_living)
    patch.apply()
    if django.VERSION >= (6, 0):
        from django.tasks.signals import task_finished, task_started

        task_started.connect(_on_task_started, dispatch_uid="perfsuite.queries.outside")
        task_finished.connect(_on_task_finished, dispatch_uid="perfsuite.queries.outside")


def uninstall() -> None:
    """Count it no more."""
    patch.remove()
    if django.VERSION >= (6, 0):
        from django.tasks.signals import task_finished, task_started

        task_started.disconnect(dispatch_uid="perfsuite.queries.outside")
        task_finished.disconnect(dispatch_uid="perfsuite.queries.outside")


def _after_fork() -> None:
    """Leave what the parent has not folded to it."""
    global _lock
    _lock = threading.Lock()
    _living.clear()
    _process.tally = None
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

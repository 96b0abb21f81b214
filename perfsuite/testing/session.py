"""What a block needs of Django: hooks that see every statement, also where ``METRICS`` is off, and units for requests.

A block in which a hook failed must not pass, since it may have missed a statement.
"""

from __future__ import annotations

import gc
from typing import Any
from weakref import WeakSet

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_finished, request_started
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from perfsuite.metrics import guard
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.request import in_hand
from perfsuite.queries import sql
from perfsuite.queries.following import Block, Followed, Ran, Watch

APP = "perfsuite.queries"


class _Connections:
    """The connections of all threads: those of the threads that an event loop uses may be older than the block."""

    def __init__(self) -> None:
        self._known: WeakSet[BaseDatabaseWrapper] | None = None

    def living(self) -> list[Any]:
        """Return those that live. The first call looks at all objects of the process, later ones at none."""
        if self._known is None:
            connection_created.connect(self._on_created, dispatch_uid="perfsuite.testing")
            self._known = WeakSet(
                each for each in gc.get_objects() if issubclass(type(each), BaseDatabaseWrapper)
            )
        return list(self._known)

    def _on_created(self, sender: object, connection: Any, **kwargs: object) -> None:
        if self._known is not None:
            self._known.add(connection)


living = _Connections().living


class Session:
    """Follows one block."""

    def __init__(self) -> None:
        self._block = Block(Followed())
        self._wrapped: list[Any] = []
        self._failures: dict[guard.Guard, int] = {}

    def begin(self) -> None:
        """Begin to follow; raises ImproperlyConfigured where perfsuite is not installed in the project."""
        if not apps.ready:
            raise ImproperlyConfigured(
                "Django is not set up; name the settings in DJANGO_SETTINGS_MODULE and install pytest-django."
            )
        if not apps.is_installed(APP):
            raise ImproperlyConfigured(
                f'{APP!r} is not in INSTALLED_APPS; write "INSTALLED_APPS = [..., *perfsuite.APPS]".'
            )
        self._failures = {each: each.failures for each in _guards()}
        if not MetricsSettings.get().enabled:
            self._wrapped = [each for each in living() if sql.put_on(each)]
            connection_created.connect(self._on_created, weak=False, dispatch_uid=self)
        for signal in (request_started, request_finished):
            signal.connect(_next_unit, dispatch_uid="perfsuite.testing")
        self._block.begin()

    def end(self) -> list[Ran]:
        """Return what ran."""
        self._block.end()
        connection_created.disconnect(dispatch_uid=self)
        for each in self._wrapped:
            sql.take_off(each)
        self._wrapped = []
        return self._block.followed.ran()

    def check(self) -> None:
        """Raise RuntimeError if a hook has failed in the block or was off."""
        for each, failures in self._failures.items():
            if not each.on or each.failures != failures:
                raise RuntimeError(
                    f"The hook {each.hook} failed, so statements may be missing; its log line says why."
                )

    def _on_created(self, sender: object, connection: Any, **kwargs: object) -> None:
        if sql.put_on(connection):
            self._wrapped.append(connection)


def _guards() -> list[guard.Guard]:
    return [each for each in guard.registered() if each.hook.partition(".")[0] == "queries"]


def _next_unit(**kwargs: object) -> None:
    tally = in_hand()
    if isinstance(tally, Watch):
        tally.next_unit()

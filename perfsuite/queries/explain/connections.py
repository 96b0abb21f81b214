"""A connection of its own for each plan: never the request's, read only, with a limit of time, rolled back and closed.

Nothing of it is recorded. The host's receivers of ``connection_created`` are called for it as for any other connection.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionDoesNotExist  # type: ignore[attr-defined] # where Django 3.1 has it

from perfsuite.metrics.request import suppress as unrecorded
from perfsuite.queries.explain.errors import NotExplainable

# SQLite asks each so many steps of its virtual machine whether the time is over: a millisecond or less.
STEPS = 10_000
CONNECT_TIMEOUT_S = 5


def wrapper_of(alias: str) -> Any:
    """Return Django's wrapper of the alias, of this thread; raise ``NotExplainable`` where there is no such alias."""
    try:
        return connections[alias]
    except ConnectionDoesNotExist as exc:
        known = ", ".join(sorted(connections))
        raise NotExplainable(f"{alias!r} is not in DATABASES; write one of {known}.") from exc


@contextmanager
def own_cursor(alias: str, timeout_ms: int) -> Iterator[Any]:
    """Yield a cursor of a new connection to a relational database, in a transaction that can only read.

    What the database refuses in the block, and a statement that takes longer than ``timeout_ms``, is ``NotExplainable``.
    """
    wrapper = _new(wrapper_of(alias), timeout_ms)
    with unrecorded():
        try:
            with wrapper.cursor() as cursor:
                _begin(wrapper, cursor, timeout_ms)
                yield cursor
        except (DatabaseError, InterfaceError, ImproperlyConfigured) as exc:
            raise NotExplainable(_sentence(alias, exc, timeout_ms)) from exc
        finally:
            _end(wrapper)


def _new(wrapper: Any, timeout_ms: int) -> Any:
    new = wrapper.copy()
    # Copied before it is changed: the options within are the host's.
    options = new.settings_dict["OPTIONS"] = {**new.settings_dict.get("OPTIONS", {})}
    # A connection of the pool would be given back with what is set here.
    options.pop("pool", None)
    if new.vendor == "postgresql":
        options.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
    elif new.vendor == "sqlite":
        options["timeout"] = timeout_ms / 1e3  # of waiting for who writes
    new.settings_dict.update(CONN_MAX_AGE=0, ATOMIC_REQUESTS=False, AUTOCOMMIT=True)
    return new


def _begin(wrapper: Any, cursor: Any, timeout_ms: int) -> None:
    """Begin a transaction that can only read, by statements: Django's own may begin one that locks for writing."""
    if wrapper.vendor == "sqlite":
        cursor.execute("PRAGMA query_only = ON")
        until = time.monotonic() + timeout_ms / 1e3
        wrapper.connection.set_progress_handler(lambda: time.monotonic() > until, STEPS)
        cursor.execute("BEGIN")
        return
    cursor.execute("BEGIN READ ONLY")
    # LOCAL, so that a pooler between us and the database hands nothing of it on.
    cursor.execute(f"SET LOCAL statement_timeout = {int(timeout_ms)}")
    cursor.execute("SET LOCAL standard_conforming_strings = on")


def _end(wrapper: Any) -> None:
    """Roll back and close. A database in memory is one that Django would keep open."""
    with suppress(Exception):
        if wrapper.connection is not None:
            wrapper.connection.rollback()
    with suppress(Exception):
        BaseDatabaseWrapper.close(wrapper)


def _sentence(alias: str, exc: Exception, timeout_ms: int) -> str:
    said = (str(exc).strip().splitlines() or [type(exc).__name__])[0].rstrip(".")
    if any(words in said for words in ("interrupted", "statement timeout")):
        return f"The database {alias!r} gave no plan within {timeout_ms:,} ms."
    return f"The database {alias!r} gave no plan: {said}."

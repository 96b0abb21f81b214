"""Which database holds the store, and the file of its own that it gets on a SQLite host.

SQLite has one writer: a thread that writes to the host's file makes the host's read-then-write transactions fail with "database
is locked". So on such a host the store is a file beside the host's (``db.sqlite3`` -> ``db.perfsuite.sqlite3``), registered as
the alias ``perfsuite`` and brought to its schema by the first process that writes to it.
"""

from __future__ import annotations

import copy
import logging
import os
import pkgutil
import re
import threading
import time
from pathlib import Path
from typing import Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from perfsuite.metrics.conf import MetricsSettings

logger = logging.getLogger("perfsuite.metrics")

AUTOMATIC_ALIAS = "perfsuite"
SQLITE = "django.db.backends.sqlite3"
_MARK = "PERFSUITE_STORE"
_IN_MEMORY = "file:perfsuite-store?mode=memory&cache=shared"

# How long a process waits for another one that is making the tables.
PREPARE_S = 5.0
_CONCURRENT = re.compile("locked|already exists")

_ready: set[str] = set()
_preparing = threading.Lock()


def store_alias() -> str:
    """Return the alias of the database that holds the store."""
    named = MetricsSettings.get().database
    if named:
        return named
    return AUTOMATIC_ALIAS if AUTOMATIC_ALIAS in connections.databases else DEFAULT_DB_ALIAS


def store_is_automatic() -> bool:
    """Tell whether the store is the file that perfsuite made for itself."""
    return (
        bool(connections.databases.get(AUTOMATIC_ALIAS, {}).get(_MARK)) and store_alias() == AUTOMATIC_ALIAS
    )


def register_automatic_store() -> None:
    """On a SQLite host that names no alias, register the alias ``perfsuite`` for a file beside the host's. Idempotent."""
    databases = connections.databases
    host = databases.get(DEFAULT_DB_ALIAS, {})
    if MetricsSettings.get().database or AUTOMATIC_ALIAS in databases or host.get("ENGINE") != SQLITE:
        return
    store = copy.deepcopy(host)
    store.update(
        NAME=beside(host["NAME"]),
        ATOMIC_REQUESTS=False,
        AUTOCOMMIT=True,
        # Opened for each flush, so that a file that was moved away is noticed rather than written to.
        CONN_MAX_AGE=0,
        OPTIONS={"timeout": 5},
        **{_MARK: True},
    )
    # A host's test run makes this database too, as an empty one and without replaying the host's migrations.
    store["TEST"] = {
        **dict.fromkeys(store.get("TEST", {})),
        "NAME": None,
        "MIGRATE": False,
        "DEPENDENCIES": [],
    }
    databases[AUTOMATIC_ALIAS] = store
    connection_created.connect(_set_pragmas, dispatch_uid="perfsuite.metrics.pragmas")


def beside(name: object) -> str:
    """Return the store's name for a host's: ``site.sqlite3`` -> ``site.perfsuite.sqlite3``; in memory for a host in memory."""
    text = str(name)
    if text in ("", ":memory:") or "mode=memory" in text:
        return _IN_MEMORY
    path = Path(text)
    return str(path.with_name(f"{path.stem}.perfsuite{path.suffix}"))


def prepare(connection: BaseDatabaseWrapper) -> None:
    """Bring the automatic store to its schema if it is behind; costs nothing once it was seen to be right in this process.

    Runs only our migrations, without Django's migrate signals, whose receivers belong to the host. Several processes may try at
    once: those that find another at it try again for a moment.
    """
    key = str(connection.settings_dict["NAME"])
    if key in _ready or not store_is_automatic():
        return
    with _preparing:
        give_up = time.monotonic() + PREPARE_S
        while key not in _ready:
            try:
                _bring_to_schema(connection)
            except DatabaseError as exc:
                if not _CONCURRENT.search(str(exc)) or time.monotonic() > give_up:
                    raise
                time.sleep(0.05)
            else:
                _ready.add(key)


def forget_prepared() -> None:
    """Have ``prepare`` look again: the store failed, so its file may have been moved or emptied."""
    _ready.clear()


def _bring_to_schema(connection: BaseDatabaseWrapper) -> None:
    from django.db.migrations.executor import MigrationExecutor

    if not connection.is_in_memory_db():  # type: ignore[attr-defined]
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA journal_mode=WAL")
    if _is_at_schema(connection):
        return
    executor = MigrationExecutor(connection)
    # A process that was killed, or is, between making the tables and noting so leaves the first migration to be noted only.
    executor.migrate(executor.loader.graph.leaf_nodes("perfsuite_metrics"), fake_initial=True)
    logger.info("The metrics store %s was brought to its schema.", connection.settings_dict["NAME"])


def _is_at_schema(connection: BaseDatabaseWrapper) -> bool:
    """Compare names only: Django's loader imports the migrations of all apps of the host, and most processes find all done."""
    from django.db.migrations.recorder import MigrationRecorder

    from perfsuite.metrics import migrations
    from perfsuite.metrics.models import Bucket

    tables = connection.introspection.table_names()
    if (
        MigrationRecorder.Migration._meta.db_table not in tables
    ):  # a test run makes the tables without migrations
        return Bucket._meta.db_table in tables
    applied = MigrationRecorder(connection).applied_migrations()
    return all(
        ("perfsuite_metrics", module.name) in applied for module in pkgutil.iter_modules(migrations.__path__)
    )


def _set_pragmas(sender: object, connection: Any, **kwargs: object) -> None:
    if (
        connection.alias == AUTOMATIC_ALIAS
        and connection.settings_dict.get(_MARK)
        and not connection.is_in_memory_db()
    ):
        # On the sqlite3 connection itself, so that no execute wrapper sees it. A power cut may cost the last flush.
        connection.connection.execute("PRAGMA synchronous=NORMAL")


def _after_fork() -> None:
    global _preparing
    _preparing = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

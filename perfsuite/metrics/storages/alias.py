"""Which database holds the store, and the file of its own that it gets on a SQLite host.

SQLite has one writer: a thread that writes to the host's file makes the host's read-then-write transactions fail with "database is
locked". So on such a host the store is a file beside the host's (``db.sqlite3`` -> ``db.perfsuite.sqlite3``), registered as the
alias ``perfsuite`` and brought to its schema by the first process that writes to it.
"""

from __future__ import annotations

import copy
import logging
import threading
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
    return bool(connections.databases.get(AUTOMATIC_ALIAS, {}).get(_MARK)) and store_alias() == AUTOMATIC_ALIAS


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
    store["TEST"] = {**dict.fromkeys(store.get("TEST", {})), "NAME": None, "MIGRATE": False, "DEPENDENCIES": []}
    databases[AUTOMATIC_ALIAS] = store
    connection_created.connect(_set_pragmas, dispatch_uid="perfsuite.metrics.pragmas")


def beside(name: object) -> str:
    """Return the store's file name for a host's: ``site.sqlite3`` -> ``site.perfsuite.sqlite3``; in memory for a host in memory."""
    text = str(name)
    if text in ("", ":memory:") or "mode=memory" in text:
        return _IN_MEMORY
    path = Path(text)
    return str(path.with_name(f"{path.stem}.perfsuite{path.suffix}"))


def prepare(connection: BaseDatabaseWrapper) -> None:
    """Bring the automatic store to its schema if it is behind; costs nothing once it was seen to be right in this process.

    Runs only our migrations, without Django's migrate signals, whose receivers belong to the host. Two processes may try at once:
    the one that finds the tables made goes on.
    """
    key = str(connection.settings_dict["NAME"])
    if key in _ready or not store_is_automatic():
        return
    with _preparing:
        if key in _ready:
            return
        try:
            _migrate(connection)
        except DatabaseError:
            if not _is_migrated(connection):
                raise
        if not connection.is_in_memory_db():  # type: ignore[attr-defined]
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA journal_mode=WAL")
        _ready.add(key)


def forget_prepared() -> None:
    """Have ``prepare`` look again: the store failed, so its file may have been moved or emptied."""
    _ready.clear()


def _is_migrated(connection: BaseDatabaseWrapper) -> bool:
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(connection)
    return all(leaf in loader.applied_migrations for leaf in loader.graph.leaf_nodes("perfsuite_metrics"))


def _migrate(connection: BaseDatabaseWrapper) -> None:
    from django.db.migrations.executor import MigrationExecutor

    from perfsuite.metrics.models import Bucket

    if Bucket._meta.db_table in connection.introspection.table_names() and _is_migrated_by_test_run(connection):
        return
    executor = MigrationExecutor(connection)
    leaves = executor.loader.graph.leaf_nodes("perfsuite_metrics")
    if executor.migration_plan(leaves):
        executor.migrate(leaves)
        logger.info("The metrics store %s was brought to its schema.", connection.settings_dict["NAME"])


def _is_migrated_by_test_run(connection: BaseDatabaseWrapper) -> bool:
    """A test run makes the tables without migrations, so none is recorded there."""
    return "django_migrations" not in connection.introspection.table_names()


def _set_pragmas(sender: object, connection: Any, **kwargs: object) -> None:
    if connection.alias == AUTOMATIC_ALIAS and connection.settings_dict.get(_MARK) and not connection.is_in_memory_db():
        # On the sqlite3 connection itself, so that no execute wrapper sees it. A power cut may cost the last flush.
        connection.connection.execute("PRAGMA synchronous=NORMAL")

"""Empty MongoDB between two tests. Django's ``flush`` is slow there, as it makes all content types and permissions anew.

Through djongo, which reads each statement as SQL, that takes half a second a test.
"""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.test import TransactionTestCase

# What ``migrate`` has made and no test changes; the first is djongo's own.
KEPT = frozenset(["__schema__", "django_migrations", "django_content_type", "auth_permission"])


def empty_the_collections(test: TransactionTestCase) -> None:
    """Delete what a test has left; takes the place of ``TransactionTestCase._fixture_teardown``."""
    for alias in test._databases_names(include_mirrors=False):  # type: ignore[attr-defined]
        database = _database_of(connections[alias])
        for name in set(database.list_collection_names()) - KEPT:
            database[name].delete_many({})


def _database_of(connection: Any) -> Any:
    connection.ensure_connection()
    return connection.connection if connection.vendor == "djongo" else connection.database

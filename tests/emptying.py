"""Empty the databases between two tests that commit.

Django's ``flush`` is slow, as it makes all content types and permissions anew. That takes a third
of a second a test, and half a second through djongo, which reads each statement as SQL.
"""

from __future__ import annotations

from typing import Any

from django.core.management.color import no_style
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


def empty_the_tables(test: TransactionTestCase) -> None:
    """Do the same in SQL, by the statements of ``flush`` itself."""
    for alias in test._databases_names(include_mirrors=False):  # type: ignore[attr-defined]
        connection = connections[alias]
        tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False))
        left = sorted(tables - KEPT)
        connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), left))


def _database_of(connection: Any) -> Any:
    connection.ensure_connection()
    return connection.connection if connection.vendor == "djongo" else connection.database
